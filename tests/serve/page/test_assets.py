"""The files of the page."""

from onward.serve.page import POLICY, assets
from tests.serve.markup import check_files


def test_every_file_of_the_page_is_there_and_none_is_from_elsewhere() -> None:
    names = check_files(assets(), "/", namespaces=r"www\.w3\.org/")
    assert {f"/page/{name}" for name in names["./"]} <= set(assets())
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")
