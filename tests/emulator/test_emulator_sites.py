"""The sites of the emulator: visitors get the files of a deployment as soon as the deployment is LIVE."""

import base64

import pytest
from hypothesis import given, strategies as st

from launch_async.emulator.builds.sites import find

SITE = {
    "index.html": "<h1>home</h1>",
    "style.css": "body {}",
    "app.js": "1",
    "logo.png": b"\x89PNG",
    "data.json": "{}",
    "blog/index.html": "<h1>blog</h1>",
    "about.html": "<h1>about</h1>",
    "empty/note.txt": "x",
    "404.html": "<h1>gone</h1>",
}


@pytest.fixture
async def environment(api, zip_of):
    """The path of an environment whose site is LIVE."""
    path = await api.site(zip_of(SITE))
    api.emulator.advance(60)
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/logo.png", "image/png"),
        ("/data.json", "application/json; charset=utf-8"),
        ("/blog/", "text/html; charset=utf-8"),
        ("/about", "text/html; charset=utf-8"),
        ("/padding.bin", "application/octet-stream"),
    ],
)
async def test_a_file_has_its_content_type(api, environment, path, kind):
    page = await api.page(environment, path)

    assert (page.status, page.headers["Content-Type"]) == (200, kind)


async def test_a_folder_without_its_slash_redirects_within_the_site(api, environment):
    page = await api.page(environment, "/blog")

    assert (page.status, page.headers["Location"]) == (301, "/blog/")


@pytest.mark.parametrize(
    "path", ["/nope", "/empty/", "/index.html/", "/%2e%2e/%2e%2e/etc/passwd", "/a%00b", "/..%5cx", "/" + "a" * 300]
)
async def test_any_other_path_is_the_404_page_of_the_site(api, environment, path):
    page = await api.page(environment, path)

    assert (page.status, page.text) == (404, "<h1>gone</h1>")


@given(
    st.lists(
        st.sampled_from(["..", "%2e%2e", "%2E.", ".", "a", "link", "..%2f", "..%5c", "secret.html", "%00", ""]),
        max_size=6,
    )
)
def test_no_path_leads_out_of_a_site(fenced_site, parts):
    found = find(fenced_site, "/" + "/".join(parts))

    assert found is None or found.resolve().is_relative_to(fenced_site)


@pytest.fixture(scope="module")
def fenced_site(tmp_path_factory):
    """A site with a link to the folder around it, which contains a private file."""
    outside = tmp_path_factory.mktemp("outside").resolve()
    site = outside / "site"
    (site / "a").mkdir(parents=True)
    for folder in (outside, site, site / "a"):
        (folder / "index.html").write_text("x")
        (folder / "secret.html").write_text("x")
    (site / "link").symlink_to(outside, target_is_directory=True)
    return site


async def test_a_site_without_a_404_page_still_answers_404(api, archive):
    environment = await api.site(archive)
    api.emulator.advance(60)

    assert (await api.page(environment, "/nope")).status == 404


async def test_new_content_appears_when_its_deployment_is_live_and_not_before(api, zip_of):
    environment = await api.site(zip_of({"index.html": "one"}))
    api.emulator.advance(60)
    upload = await api.upload(zip_of({"index.html": "two"}))
    await api.post(f"{environment}/deployments", {"uploadUid": upload})

    before = (await api.page(environment)).text
    api.emulator.advance(60)

    assert (before, (await api.page(environment)).text) == ("one", "two")


async def test_the_output_directory_is_the_site(api, zip_of):
    environment = await api.site(zip_of({"index.html": "source", "dist/index.html": "built"}), outputDirectory="./dist")
    api.emulator.advance(60)

    assert (await api.page(environment)).text == "built"


async def test_a_changed_output_directory_applies_to_the_next_deployment(api, zip_of):
    environment = await api.site(zip_of({"index.html": "source", "dist/index.html": "built"}))
    api.emulator.advance(60)
    await api.put(environment, {"outputDirectory": "./dist"})
    before = (await api.page(environment)).text
    await api.post(f"{environment}/deployments")
    api.emulator.advance(60)

    assert (before, (await api.page(environment)).text) == ("source", "built")


async def test_a_protected_site_asks_for_its_password(api, environment):
    protection = {"isEnabled": True, "username": "preview", "password": "secret"}
    await api.put(environment, {"passwordProtection": protection})
    await api.post(f"{environment}/deployments")
    api.emulator.advance(60)
    url = f"http://{(await api.newest(environment))['deploymentUrl']}/"
    pair = base64.b64encode(b"preview:secret").decode()

    shut = await api.with_headers({}).get(url)
    opened = await api.with_headers({"Authorization": f"Basic {pair}"}).get(url)

    assert (shut.status, opened.status) == (401, 200)


async def test_a_site_accepts_only_get_and_head(api, environment):
    url = f"http://{(await api.newest(environment))['deploymentUrl']}/"

    assert (await api.with_headers({}).call("POST", url)).status == 405
    assert (await api.with_headers({}).call("HEAD", url)).status == 200


async def test_each_environment_has_a_separate_port_up_to_site_listeners(start, archive):
    async with start(site_listeners=1) as api:
        first, second = await api.site(archive, name="a"), await api.site(archive, name="b")
        urls = [(await api.newest(path))["deploymentUrl"] for path in (first, second)]
        early = await api.page(second)
        api.emulator.advance(60)
        pages = [(await api.page(path)).text for path in (first, second)]
        main = api.emulator.url.removeprefix("http://")

    assert not urls[0].startswith(main)
    assert urls[1] == f"{main}/sites/{second.rsplit('/', 1)[1]}"
    assert early.status == 404
    assert pages[0] == pages[1]


async def test_a_site_on_the_main_port_redirects_below_its_path(start, zip_of):
    async with start(site_listeners=0) as api:
        environment = await api.site(zip_of(SITE))
        api.emulator.advance(60)
        page = await api.page(environment, "/blog")
        unknown = await api.with_headers({}).get("/sites/none/")

    assert page.headers["Location"] == f"/sites/{environment.rsplit('/', 1)[1]}/blog/"
    assert unknown.status == 404


async def test_a_deleted_environment_no_longer_listens(api, environment):
    url = f"http://{(await api.newest(environment))['deploymentUrl']}/"
    await api.delete(environment)

    with pytest.raises(OSError, match="connect"):
        await api.with_headers({}).get(url)


async def test_the_page_of_a_git_deployment_names_its_environment(api):
    project = api.emulator.add_project("git", environments=["<b>"], git=True)
    path = f"/projects/{project.uid}/environments/{next(iter(project.environments))}"
    await api.post(f"{path}/deployments")
    api.emulator.advance(60)

    page = await api.page(path)

    assert page.status == 200
    assert "&lt;b>" in page.text


async def test_a_new_site_can_answer_503_for_a_while(start, zip_of):
    async with start(site_cold_seconds=30.0, build_seconds=10.0) as api:
        path = await api.site(zip_of(SITE))
        api.emulator.advance(39)
        cold = await api.page(path, "/")
        api.emulator.advance(2)

        assert [cold.status, (await api.page(path, "/")).status] == [503, 200]


async def test_a_site_can_show_the_previous_version_for_a_while(start, zip_of):
    async with start(site_stale_seconds=30.0, build_seconds=10.0) as api:
        path = await api.site(zip_of({"index.html": "old"}))
        api.emulator.advance(60)
        upload_uid = await api.upload(zip_of({"index.html": "new"}))
        await api.post(f"{path}/deployments", {"uploadUid": upload_uid})
        api.emulator.advance(39)
        stale = await api.page(path, "/")
        api.emulator.advance(2)

        assert [stale.text, (await api.page(path, "/")).text] == ["old", "new"]
