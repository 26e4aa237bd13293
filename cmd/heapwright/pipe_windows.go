package main

import (
	"errors"
	"syscall"
)

// isBrokenPipe knows what Windows says when the reader of a pipe has gone:
// ERROR_NO_DATA besides ERROR_BROKEN_PIPE.
func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.ERROR_BROKEN_PIPE) || errors.Is(err, syscall.Errno(232))
}
