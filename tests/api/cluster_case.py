"""One cluster of real processes for all tests of a class."""

import unittest

from ostraka_cluster import Cluster


class ClusterCase(unittest.TestCase):
    NODES = 3
    SHARES = None  # one for each node

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.NODES, shares=cls.SHARES).__enter__()

    @classmethod
    def tearDownClass(cls):
        reports = cls.cluster.sanitizer_reports()
        cls.cluster.close()
        assert not reports, reports
