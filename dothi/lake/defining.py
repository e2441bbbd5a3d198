"""Making a dataset of a contract that a person has judged, and `dothi define CONTRACT`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dothi import jail
from dothi.identity import audit
from dothi.identity.agencies import successors
from dothi.identity.model import SYSTEM, Actor
from dothi.identity.policy import Resource, decide, require
from dothi.kernel.errors import Conflict, Fault, Invalid, NotFound
from dothi.kernel.i18n import t
from dothi.lake import registry
from dothi.lake.columns import NAME
from dothi.lake.contract import Contract, read_contract
from dothi.lake.files import FileStore
from dothi.lake.loading import Loaded, job, limits, load_file, refused
from dothi.lake.registry import Dataset
from dothi.lake.service import Lake
from dothi.store.database import Connection, Database
from dothi.store.home import Home
from dothi.store.runner import application_url
from dothi.store.settings import Settings, language


def define(conn: Connection, contract: Contract, actor: Actor, *, anew: bool = False) -> Dataset:
    """The dataset of this contract, made in the caller's transaction and told to the audit trail.

    With `anew` a dataset of that name may be there: it gets this contract, as one does into which
    nothing was ever loaded. Raises Invalid for an owner nobody knows, Conflict for a name that is
    taken or a contract that would change what is stored, and what the policy raises: who shares a
    dataset by its contract must be allowed to.
    """
    owner = successors(conn, [contract.owner]).get(contract.owner)
    if owner is None:
        fault = Fault("owner", "lake.unknown_owner", {"name": contract.owner})
        raise Invalid("lake.not_defined", faults=[fault], name=contract.name)
    resource = Resource("dataset", owner_agency=owner)
    require(actor, "dataset.define", resource)
    if contract.sharing["public"] or contract.sharing["agencies"]:
        require(actor, "dataset.share", resource)
    try:
        before = registry.find(conn, contract.name)
    except NotFound:
        before = None
    if before is not None:
        own = decide(actor, "dataset.define", before.resource).allowed
        if not own or not (anew or _never_loaded(conn, before)):
            raise Conflict("lake.name_taken", name=contract.name)
    dataset = registry.register(conn, contract)
    audit.record(
        conn, "dataset.defined", actor, f"dataset:{dataset.name}",
        kind=contract.kind, owner=contract.owner, new=before is None,
    )  # fmt: skip
    return dataset


def define_and_load(
    lake: Lake, files: FileStore, contract: Contract, actor: Actor, path: Path, *, name: str
) -> Loaded:
    """Make the dataset of a contract and load its first file. Where that fails, a dataset that was
    not there before is taken back, so that the next try may change anything.

    Raises what `define` and `load_file` raise.
    """
    with lake.db.transaction() as conn:
        new = not registry.is_taken(conn, contract.name)
        dataset = define(conn, contract, actor)
    try:
        return load_file(
            lake, files, dataset, path, name=name, actor=actor.ref, agency_id=actor.agency_id
        )
    except BaseException:
        if new:
            with lake.db.transaction() as conn:
                if registry.forget_empty(conn, dataset):
                    audit.record(conn, "dataset.taken_back", actor, f"dataset:{dataset.name}")
        raise


def refuse_of_pack(settings: Settings, name: str) -> None:
    """Raises Conflict for a dataset that a pack declares: at its next start dothi would give it the
    pack's contract again."""
    for folder in settings.pack_folders():
        if NAME.fullmatch(name) and (folder / "datasets" / f"{name}.yaml").is_file():
            raise Conflict("lake.defined_by_pack", name=name, pack=folder.name)


def _never_loaded(conn: Connection, dataset: Dataset) -> bool:
    row = conn.execute("SELECT FROM load WHERE dataset_id = %s LIMIT 1", (dataset.id,)).fetchone()
    return row is None


def check_reads(contract: Contract, path: Path, name: str) -> None:
    """Read the file by the contract in the jail and keep nothing. Raises Invalid with the reason
    when it is refused, and JailError when reading it needs more than it may."""
    with jail.run(job(contract, path), limits(path), scratch=None) as result:
        refused(result.value, name)


def arguments_define(parser: argparse.ArgumentParser) -> None:
    lang = language(os.environ)
    parser.add_argument("contract", metavar="CONTRACT", help=t("lake.option_contract", lang))


def run_define(args: argparse.Namespace, settings: Settings) -> int:
    """Make the dataset of a contract, or give it its newest contract; 1 with the faults of one
    that is not valid."""
    lang = settings.lang
    db = Database(settings.database_url or application_url(Home(settings.home)), name="define")
    try:
        contract = read_contract(Path(args.contract))
        refuse_of_pack(settings, contract.name)
        with db.transaction() as conn:
            dataset = define(conn, contract, SYSTEM, anew=True)
    except Invalid as error:
        print(error.text(lang), file=sys.stderr)
        for fault in error.faults:
            said = t("lake.said_fault", lang, where=fault.where, what=fault.text(lang))
            print(said, file=sys.stderr)
        return 1
    finally:
        db.close()
    print(t("lake.said_defined", lang, name=dataset.name))
    return 0
