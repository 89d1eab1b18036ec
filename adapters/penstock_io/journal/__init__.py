"""The durable record of a batch, in SQLite and files; also its store."""

from penstock_io.journal._account import Account, JobName, Lost, Tally, Ticket
from penstock_io.journal._books import Orphan
from penstock_io.journal._disk import Disk
from penstock_io.journal._due import Due
from penstock_io.journal._files import IMAGES, ORIGINALS, SUPERSEDED
from penstock_io.journal._lock import FolderInUse, JournalError
from penstock_io.journal._peek import Peek, peek
from penstock_io.journal._repair import UNSURE, Repaired, repair
from penstock_io.journal._room import room_needed
from penstock_io.journal._schema import JournalDamaged, JournalUnusable, NewerJournal
from penstock_io.journal.journal import Journal, Written
from penstock_io.journal.store import JournalStore

__all__ = [
    "IMAGES",
    "ORIGINALS",
    "SUPERSEDED",
    "UNSURE",
    "Account",
    "Disk",
    "Due",
    "FolderInUse",
    "JobName",
    "Journal",
    "JournalDamaged",
    "JournalError",
    "JournalStore",
    "JournalUnusable",
    "Lost",
    "NewerJournal",
    "Orphan",
    "Peek",
    "Repaired",
    "Tally",
    "Ticket",
    "Written",
    "peek",
    "repair",
    "room_needed",
]
