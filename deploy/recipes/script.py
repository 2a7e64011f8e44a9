"""A plain script: one word around its loop. Without PROGRESS_WS_SID the loop just runs."""

import hashlib
import sys
from pathlib import Path

from progress_ws import track

files = [path for path in Path(sys.argv[1]).rglob("*") if path.is_file()]
for path in track(files, title="Checksums", unit="files"):
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path)
