//go:build !windows

package main

func isBrokenPipe(error) bool { return false }
