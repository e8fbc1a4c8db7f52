"""``/api/products``: what is recorded at all."""

import asyncio

from litestar import get

from datacat.api.dependencies import Sessions
from datacat.api.openapi import answers, problems
from datacat.query import products as query
from datacat.query.products import ProductView


@get(
    "/api/products",
    tags=["sessions"],
    responses={**answers(list[ProductView], "The one last heard of first."), **problems(503)},
)
async def list_products(reader: Sessions) -> list[ProductView]:
    """Products with their versions: how many sessions of each there are, and when anything last came."""
    return await asyncio.to_thread(query.products, reader)
