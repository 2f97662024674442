# SPDX-License-Identifier: Apache-2.0
"""What the tests stand on: processes, a client and origins that speak raw bytes, Consul, load."""
