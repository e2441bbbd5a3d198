"""A file into a dataset that is there: the form's address beside the list of loads and on a load's
page."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, post
from litestar.di import NamedDependency
from litestar.params import FromPath, MultipartBody

from dothi.identity.model import Actor
from dothi.ioc import catalogue, loads_view
from dothi.ioc.catalogue import DATA
from dothi.ioc.desk import Desk
from dothi.ioc.inspect_view import said
from dothi.kernel.errors import DothiError, Forbidden, NotFound, Unauthenticated
from dothi.kernel.i18n import t
from dothi.lake.api import load_upload
from dothi.lake.files import FileStore
from dothi.lake.service import Lake
from dothi.web.access import lang_of
from dothi.web.problem import status_of
from dothi.web.site import Site, see_other


@post(
    f"{catalogue.LOADS}/into/{{name:str}}",
    opt={"access": "dataset.load"},
    status_code=303,
    sync_to_thread=True,
    request_max_body_size=512 * 1024 * 1024,
)
def load_into(
    request: Request[Any, Any, Any],
    name: FromPath[str],
    data: MultipartBody[dict[str, Any]],
    actor: NamedDependency[Actor],
    site: NamedDependency[Site],
    desk: NamedDependency[Desk],
    lake: NamedDependency[Lake],
    files: NamedDependency[FileStore],
) -> Any:
    """Load a file that one of the dataset's readers fits; what is refused is said above the form."""
    try:
        done = load_upload(lake, files, actor, name, data.get("file"))
    except (NotFound, Forbidden, Unauthenticated):
        raise
    except DothiError as error:
        lang = lang_of(request)
        view = loads_view.page(desk, actor, lang, None, name, refused=said(error, lang))
        page = site.page(
            request, "loads.html", site.shell(request, t("ioc.loads", lang), DATA), view
        )
        page.status_code = status_of(error)
        return page
    what = "loaded_before" if done.outcome.replay else "loaded"
    return see_other(f"{catalogue.LOADS}/{done.outcome.load_id}?done={what}")


router = Router("/", route_handlers=[load_into], include_in_schema=False)
