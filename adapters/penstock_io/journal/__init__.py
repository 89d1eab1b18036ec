"""The durable record of a batch, in SQLite and files; also its store."""

from penstock_io.journal._account import Account, JobName, Lost, Tally
from penstock_io.journal._books import Orphan
from penstock_io.journal._disk import Disk
from penstock_io.journal._lock import FolderInUse, JournalError
from penstock_io.journal._schema import JournalUnusable, NewerJournal
from penstock_io.journal.journal import Journal, Written
from penstock_io.journal.store import JournalStore

__all__ = [
    "Account",
    "Disk",
    "FolderInUse",
    "JobName",
    "Journal",
    "JournalError",
    "JournalStore",
    "JournalUnusable",
    "Lost",
    "NewerJournal",
    "Orphan",
    "Tally",
    "Written",
]
