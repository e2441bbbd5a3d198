"""Administration: agencies, accounts, keys, roles, datasets, packs, the audit trail."""
