"""How long is kept what, as people write it."""

import pytest

from datacat.model.errors import ConfigurationError
from datacat.model.retention import Retention, retention


@pytest.mark.parametrize(
    ("written", "setting"),
    [
        (("a month", "", ""), "retain "),
        (("0d", "", ""), "retain "),
        (("30", "", ""), "retain "),
        (("", "editor", ""), "retain_per_product"),
        (("", "editor=", ""), "retain_per_product"),
        (("", "=3d", ""), "retain_per_product"),
        (("", "", "much"), "max_size"),
        (("", "", "0GB"), "max_size"),
        (("", "", "20"), "max_size is a size, a number and .* found '20'"),
        (("", "", "1.5"), "max_size"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_setting(written, setting):
    with pytest.raises(ConfigurationError, match=setting):
        retention(*written)


def test_a_product_that_is_named_twice_is_refused():
    with pytest.raises(ConfigurationError, match="names 'editor' twice"):
        retention("", "editor=1d, ci=1h, editor=2d", "")


def test_a_product_with_an_equals_sign_in_its_name_can_be_named():
    assert retention("", "a=b=1h", "").products == {"a=b": 3_600}


@pytest.mark.parametrize(
    ("text", "size"), [("1024B", 1024), ("1kB", 1_000), ("1.5 GiB", 3 * 2**29), ("2T", 2 * 10**12)]
)
def test_sizes_are_written_with_si_or_binary_prefixes(text, size):
    assert retention("", "", text).most_bytes == size


def test_what_is_not_named_is_kept_as_long_as_all_others_and_for_ever_without_that():
    assert Retention(products={"editor": 60}).before("game", 10**15) is None
    assert Retention(products={"editor": 60}).before(None, 10**15) is None
    assert Retention(others=60).before(None, 10**15) == 10**15 - 60_000_000
