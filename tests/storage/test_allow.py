"""What a request may name. No packet goes anywhere: name servers are a table."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from vod_operators.errors import InvalidInputError, NotAllowedError
from vod_operators.storage import addresses
from vod_operators.storage.allow import AllowList, base_covers, check_entries

NAMES = {
    "cdn.example.com": ["8.8.8.8", "2606:4700::1111"],
    "media.internal": ["10.0.0.7"],
    "localhost": ["127.0.0.1", "::1"],
    "metadata.example.com": ["169.254.169.254"],
    "half.example.com": ["8.8.8.8", "10.0.0.7"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "nat64.example.com": ["64:ff9b::a00:7"],
}


@pytest.fixture(autouse=True)
def name_server(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, socket.SOCK_STREAM, 6, "", (address, 0)) for address in NAMES[host]]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return asked


def allow(*entries: str) -> AllowList:
    return AllowList("VOD_SOURCE_ALLOW", check_entries(entries))


def refusal(entries: AllowList, uri: str) -> str:
    with pytest.raises(NotAllowedError) as error:
        entries.require(uri, "source")
    return str(error.value)


# --- web servers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0",
        "0.0.0.0", "localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1]", "[fd00:ec2::254]",
        "user:pass@127.0.0.1", "8.8.8.8@127.0.0.1", "8.8.8.8%40@127.0.0.1", "127.0.0.1:80", "10.0.0.7:8080",
        "169.254.169.254", "0xa9fea9fe", "192.168.1.1", "172.16.0.1", "100.64.0.1", "168.63.129.16",
        "media.internal", "MEDIA.internal.", "metadata.example.com", "half.example.com", "mapped.example.com",
        "nat64.example.com", "no-such-host.internal", "localhost%2e", "127.0.0.1%2e", "a..b",
    ],
)  # fmt: skip
def test_only_public_hosts_by_default(host: str) -> None:
    said = refusal(allow("public"), f"http://{host}/x?key=s3cret")
    assert said.startswith("source: its host is not named in VOD_SOURCE_ALLOW, and has no public address (")
    assert "pass" not in said and "s3cret" not in said


@pytest.mark.parametrize(
    "uri",
    ["http:///x", "http://①②⑦.⓪.⓪.①/", "http://[::1/", "http://0177.0.0.1/",
     "http://h:99999/", "http://a b/",
     "http://" + "x" * 3000, "http://127.0.0.1\n/", "http://127.0.0.1/\u202e", "http://\ud800/"],
)  # fmt: skip
def test_what_is_no_url(uri: str) -> None:
    with pytest.raises(InvalidInputError):
        allow("public", "localhost").require(uri, "source")


def test_a_public_host_is_open_and_looked_up_once(name_server: list[str]) -> None:
    endpoint = allow("public").endpoint(httpx.URL("https://CDN.example.com./film.mp4"))
    assert endpoint.host == "cdn.example.com"
    assert [str(address) for address in endpoint.addresses] == NAMES["cdn.example.com"]
    assert name_server == ["cdn.example.com"]


def test_without_the_word_only_what_is_named(name_server: list[str]) -> None:
    said = refusal(allow("s3://originals"), "https://cdn.example.com/film.mp4")
    assert said == ("source: its host is not named in VOD_SOURCE_ALLOW (https://cdn.example.com/film.mp4)")
    assert name_server == [], "nobody is asked"
    assert allow("cdn.example.com").require("https://cdn.example.com/film.mp4", "source")


def test_a_refusal_does_not_tell_whether_a_host_exists() -> None:
    there, not_there = (
        refusal(allow("public"), f"http://{host}/x").replace(host, "HOST")
        for host in ("media.internal", "nothing.internal")
    )
    assert there == not_there


@pytest.mark.parametrize(
    ("entry", "open_to", "closed_to"),
    [
        ("media.internal",
         ["http://media.internal/a", "https://media.internal:8443/a", "http://MEDIA.INTERNAL./a"],
         ["http://10.0.0.7/a", "http://x.media.internal/a", "http://media.internal.evil/a",
          "http://media.internal@localhost/", "http://localhost/?media.internal"]),
        ("media.internal:8080",
         ["http://media.internal:8080/a", "https://media.internal:8080/a"],
         ["http://media.internal/a", "http://media.internal:80800/a"[:-3] + "1/a"]),
        ("127.0.0.1:8000",
         ["http://127.0.0.1:8000/", "http://2130706433:8000/", "http://[::ffff:127.0.0.1]:8000/"],
         ["http://127.0.0.1/", "http://localhost:8000/", "http://127.0.0.2:8000/", "http://[::1]:8000/"]),
        ("[::1]:8000", ["http://[::1]:8000/", "http://[0:0::1]:8000/"], ["http://[::1]/", "http://127.0.0.1:8000/"]),
        ("::1", ["http://[::1]/"], ["http://127.0.0.1/"]),
        ("https://media.internal/films",
         ["https://media.internal/films", "https://media.internal/films/a?x=../", "https://media.internal:443/films/a"],
         ["http://media.internal/films/a", "https://media.internal/filmsx", "https://media.internal/",
          "https://media.internal/films/../secret", "https://media.internal/films/%2e%2e/secret",
          "https://media.internal/films/..%2fsecret", "https://media.internal/films/..%5Csecret",
          "https://media.internal:8443/films/a"]),
        ("http://media.internal/", ["http://media.internal/a"], ["https://media.internal/a"]),
    ],
)  # fmt: skip
def test_a_named_host(entry: str, open_to: list[str], closed_to: list[str]) -> None:
    entries = allow("public", entry)
    for uri in open_to:
        assert entries.require(uri, "source") == uri
    for uri in closed_to:
        refusal(entries, uri)


def test_credentials_stay_at_their_server() -> None:
    base = "https://media.internal/films"
    assert base_covers(base, httpx.URL("https://media.internal/films/a.mp4?x=1"))
    for elsewhere in (
        "http://media.internal/films/a",
        "https://media.internal/",
        "https://evil.example/films/a",
    ):
        assert not base_covers(base, httpx.URL(elsewhere))


# --- files ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "open" / "in").mkdir(parents=True)
    (tmp_path / "open" / "in" / "a film.mp4").touch()
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "openly").touch()
    return tmp_path


def test_no_file_by_default(folder: Path) -> None:
    for path in (folder / "secret", folder / "nothing", Path("/etc/passwd"), Path("/etc/nothing"), Path("/")):
        assert refusal(allow("public"), path.as_uri()) == (
            f"source: it is not in a folder that VOD_SOURCE_ALLOW names ({path.as_uri()})"
        )


def test_a_named_folder(folder: Path) -> None:
    entries = allow((folder / "open").as_uri())
    film = folder / "open" / "in" / "a film.mp4"
    for uri in (film.as_uri(), f"file://{film}", film.as_uri().replace("file://", "file://localhost"),
                film.as_uri().replace("/in/", "//in//")):  # fmt: skip
        assert entries.require(uri, "source") == film.as_uri()
    for uri in (
        (folder / "secret").as_uri(),
        (folder / "openly").as_uri(),
        folder.as_uri(),
    ):
        refusal(entries, uri)


@pytest.mark.parametrize(
    "way", ["/../secret", "/%2e%2e/secret", "/in/../../secret", "/%2E./nothing", "/in%00/x"]
)
def test_no_way_up(folder: Path, way: str) -> None:
    with pytest.raises(InvalidInputError, match="in its path"):
        allow((folder / "open").as_uri()).require((folder / "open").as_uri() + way, "source")


@pytest.mark.parametrize(
    "link",
    [
        lambda folder: (folder / "open" / "link").symlink_to(folder / "secret"),
        lambda folder: (folder / "open" / "link").symlink_to("../secret"),
        lambda folder: (folder / "open" / "link").symlink_to(folder / "nothing"),
        lambda folder: (folder / "open" / "link").symlink_to("/proc/self/environ"),
        lambda folder: (
            (folder / "open" / "way").symlink_to(folder),
            (folder / "open" / "link").symlink_to("way/secret"),
        ),
    ],
)
def test_a_link_counts_as_what_it_leads_to(folder: Path, link: Callable[[Path], object]) -> None:
    link(folder)
    uri = (folder / "open" / "link").as_uri()
    assert refusal(allow((folder / "open").as_uri()), uri) == (
        f"source: it is not in a folder that VOD_SOURCE_ALLOW names ({uri})"
    )


def test_a_link_inside_leads_to_the_file_itself(folder: Path) -> None:
    (folder / "open" / "link").symlink_to("in")
    (folder / "way").symlink_to("open")
    film = folder / "open" / "in" / "a film.mp4"
    for named in (folder / "open", folder / "way"):
        entries = allow(named.as_uri())
        for base in (folder / "open", folder / "way"):
            if named == folder / "open" and base == folder / "way":
                refusal(entries, (base / "link" / "a film.mp4").as_uri())  # is not looked at
            else:
                assert entries.require((base / "link" / "a film.mp4").as_uri(), "source") == film.as_uri()


# --- buckets --------------------------------------------------------------------------------


def test_no_bucket_by_default() -> None:
    assert refusal(allow("public"), "s3://vod-results/film/index.m3u8") == (
        "source: it is not in a bucket or prefix that VOD_SOURCE_ALLOW names (s3://vod-results/film/index.m3u8)"
    )


@pytest.mark.parametrize(
    ("entry", "open_to", "closed_to"),
    [
        ("s3://originals", ["s3://originals/a b/c.mp4", "s3://originals/..a"],
         ["s3://originals2/a", "s3://origin/a", "s3://Originals/a", "s3://originals/../other/a", "s3://originals/./a",
          "s3://other/originals/a", "s3://originals@other/a"]),
        ("s3://originals/team-a/", ["s3://originals/team-a/x.mp4"],
         ["s3://originals/team-ab/x.mp4", "s3://originals/x.mp4", "s3://originals/team-a/../team-b/x.mp4",
          "s3://originals/team-a/%2e%2e/team-b/x.mp4"]),
    ],
)  # fmt: skip
def test_a_named_bucket(entry: str, open_to: list[str], closed_to: list[str]) -> None:
    entries = allow(entry)
    for uri in open_to:
        assert entries.require(uri, "source") == uri
    for uri in closed_to:
        refusal(entries, uri)


# --- the setting ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    ["", "*", "/srv", "file://srv", "file:///a/../b", "s3://", "s3:///x", "ftp://host", "http://", "http://u@host/",
     "https://host/?q", "host/path", "host:x", "a b", "http://host:99999/"],
)  # fmt: skip
def test_a_bad_entry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"usable|bucket|file"):
        check_entries([entry])
