"""The command line: says what it was asked for, and whose store it would use."""

import sys

from dacapo.store import create_store  # type: ignore[import-not-found]

store = create_store.create_array_store()
store.snapshot_container("run")
print(" ".join(sys.argv[1:]), type(store).__module__)
