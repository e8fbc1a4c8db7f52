"""The REST API: Litestar handlers, errors as problems, and the OpenAPI document of both."""
