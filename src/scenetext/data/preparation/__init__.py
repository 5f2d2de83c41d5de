"""Published datasets to records: conversion, checks, dictionaries, shards."""
