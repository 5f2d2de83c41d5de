"""The record format, record files, tar shards, and reading images."""
