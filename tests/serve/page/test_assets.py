"""The files of the page."""

import re

from tests.serve.markup import References

from onward.serve.page import POLICY, assets


def test_every_file_of_the_page_is_there_and_none_is_from_elsewhere() -> None:
    found = assets()
    page = References(found["/"].content.decode())
    assert {f"/{target}" for target in page.targets} <= set(found)
    assert not {"style", "onclick", "onload"} & page.attributes
    for path, asset in found.items():
        text = asset.content.decode()
        assert text.count("\n") < 300, path
        assert not re.search(r"https?://(?!www\.w3\.org/)|url\(|@import|innerHTML|eval\(", text), path
        for name in re.findall(r'from "\./(.+?)"', text):
            assert f"/page/{name}" in found
        assert set(re.findall(r'\$\("(\w+)"\)', text)) <= set(page.ids)
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")
