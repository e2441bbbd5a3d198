#!/usr/bin/env python3
"""Verify an export of dothi's audit trail without dothi. Python 3.8 or newer, nothing else.

    dothi audit export trail.ndjson
    python3 audit_verify.py trail.ndjson [--heads heads.log [--key audit_heads]]

Each line of the export is one entry. Its hash is SHA-256 over the JSON array
[seq, event_id, at, actor, action, subject, detail, prev_hash], without blanks, everything outside
ASCII as \\uXXXX; `prev_hash` is the hash of the entry before, 64 zeros for the first. Each line of
heads.log is a seal: time, seq and hash of the last entry then, and an HMAC-SHA256 over
[mac of the line before or "", at, seq, hash]. Exit code 0: whole; 1: changed; 2: cannot be read.
"""

import argparse
import hashlib
import hmac
import json
import sys
from pathlib import Path

CONTENT = ("seq", "event_id", "at", "actor", "action", "subject", "detail", "prev_hash")


def packed(values):
    return json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def seals(path, key, flaws):
    """(seq, hash) of every seal in the file; what is wrong with the file goes to `flaws`."""
    mac, seq = "", 0
    if path is None:
        return
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return  # being written when the machine stopped
            try:
                seal = json.loads(line)
                at, now, sealed, own = (seal[name] for name in ("at", "seq", "hash", "mac"))
                expected = hmac.new(key or b"", packed([mac, at, now, sealed]), hashlib.sha256)
                if now <= seq or (key and not hmac.compare_digest(expected.hexdigest(), own)):
                    raise ValueError
            except (ValueError, KeyError, TypeError):
                flaws.append((seq + 1, f"line {number} of the seals is damaged or was changed"))
                continue
            mac, seq = own, now
            yield now, sealed


def check(entries, waiting_seals, flaws):
    """Walk the chain once; the number of entries and the last one's (seq, hash)."""
    count, last, prev, proven = 0, 0, "0" * 64, 0
    seal = next(waiting_seals, None)
    for line in entries:
        entry = json.loads(line)
        seq, own = entry["seq"], entry["hash"]
        if seq != last + 1:
            flaws.append((last + 1, f"entry {last + 1} is missing"))
            prev = None
        if hashlib.sha256(packed([entry[name] for name in CONTENT])).hexdigest() != own:
            flaws.append((seq, f"the content of entry {seq} does not match its hash"))
        elif prev is not None and entry["prev_hash"] != prev:
            flaws.append((max(seq - 1, 1), f"entry {seq - 1} or {seq} was rewritten"))
        count, last, prev = count + 1, seq, own
        while seal is not None and seal[0] <= seq:
            if seal == (seq, own):
                proven = seq
            else:
                flaws.append((proven + 1, f"an entry from {proven + 1} to {seal[0]} was rewritten"))
            seal = next(waiting_seals, None)
    while seal is not None:
        flaws.append((last + 1, f"cut after entry {last}: a seal proves entry {seal[0]}"))
        seal = next(waiting_seals, None)
    return count, last, prev


def main():
    parser = argparse.ArgumentParser(description="Verify an export of dothi's audit trail.")
    parser.add_argument("export")
    parser.add_argument("--heads", help="the file of seals; without it a cut tail does not show")
    parser.add_argument("--key", help="file with the seals' key, to check who wrote them")
    args = parser.parse_args()
    flaws = []
    try:
        key = Path(args.key).read_bytes() if args.key else None
        with Path(args.export).open("rb") as entries:
            count, last, own = check(entries, seals(args.heads, key, flaws), flaws)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"cannot be read: {error}", file=sys.stderr)
        return 2
    print(f"{count} entries, the last is {last} with hash {own}")
    for _, text in sorted(flaws)[:20]:
        print(f"  {text}")
    print(f"CHANGED from entry {min(flaws)[0]} on" if flaws else "whole: every link holds")
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main())
