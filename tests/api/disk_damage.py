"""What can happen to the disk of a node that does not run."""

import os
import shutil


class Copies:
    """Damages data directories; keeps older copies of them, to be put back."""

    def __init__(self, cluster):
        self.cluster = cluster

    def data(self, node):
        return os.path.join(self.cluster.node_directory(node), "data")

    def copy(self, node):
        return self.data(node) + ".older"

    def beside(self, node, name):
        return os.path.join(self.cluster.node_directory(node), name)

    def take(self, node):
        shutil.rmtree(self.copy(node), ignore_errors=True)
        shutil.copytree(self.data(node), self.copy(node))
        shutil.copy(self.beside(node, "share.keys"), self.beside(node, "share.keys.older"))

    def files(self, node, beginning="", ending=""):
        """Files of the data directory with something in them, by size."""
        found = []
        for folder, _, names in os.walk(self.data(node)):
            for name in names:
                path = os.path.join(folder, name)
                if name.startswith(beginning) and name.endswith(ending) and os.path.getsize(path):
                    found.append(path)
        return sorted(found, key=os.path.getsize)

    def damage(self, node, random):
        """Draws a kind of damage that is possible, does it, and says what it was."""
        kinds = [self.lose, self.cut_journal, self.flip_journal, self.flip_table, self.lose_table,
                 self.lose_share_keys, self.lose_sequence]
        if os.path.isdir(self.copy(node)):
            kinds += [self.roll_back, self.roll_back, self.roll_back_share_keys]
        while True:
            what = random.choice(kinds)(node, random)
            if what:
                return what

    def lose(self, node, random):
        shutil.rmtree(self.data(node))
        return "data lost"

    def roll_back(self, node, random):
        shutil.rmtree(self.data(node))
        shutil.move(self.copy(node), self.data(node))
        return "older copy put back"

    def roll_back_share_keys(self, node, random):
        shutil.copy(self.beside(node, "share.keys.older"), self.beside(node, "share.keys"))
        return "older share.keys put back"

    def lose_share_keys(self, node, random):
        os.remove(self.beside(node, "share.keys"))
        return "share.keys lost"

    def lose_sequence(self, node, random):
        if not os.path.exists(self.beside(node, "sequence")):
            return None
        os.remove(self.beside(node, "sequence"))
        return "sequence lost"

    def journals(self, node):
        return self.files(node, "WiredTigerLog.")

    def tables(self, node):
        return [path for path in self.files(node, "", ".wt")
                if not os.path.basename(path).startswith("WiredTiger")]

    def cut_journal(self, node, random):
        for path in self.journals(node)[-1:]:
            size = self.used(path)
            if size > 1000:
                os.truncate(path, random.randrange(200, size))
                return "journal cut"
        return None

    def flip_journal(self, node, random):
        for path in self.journals(node)[-1:]:
            if self.flip(path, random.randrange(self.used(path)), random):
                return "bit of the journal flipped"
        return None

    def flip_table(self, node, random):
        tables = self.tables(node)
        if not tables:
            return None
        path = random.choice(tables)
        self.flip(path, random.randrange(os.path.getsize(path)), random)
        return "bit of a table flipped"

    def lose_table(self, node, random):
        tables = self.tables(node)
        if not tables:
            return None
        os.remove(random.choice(tables))
        return "table lost"

    @staticmethod
    def used(path):
        """Bytes before the zeros at the end: journals are made longer than they are."""
        with open(path, "rb") as file:
            return len(file.read().rstrip(b"\0"))

    @staticmethod
    def flip(path, at, random):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)
            if not byte:
                return False
            file.seek(at)
            file.write(bytes([byte[0] ^ (1 << random.randrange(8))]))
        return True
