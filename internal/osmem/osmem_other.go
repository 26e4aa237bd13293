//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris || windows)

package osmem

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"
)

const (
	openFlags       = 0
	privateReleases = false
)

// errPlatform is what every constructor but Wrap fails with.
var errPlatform = fmt.Errorf("%w on %s/%s", errors.ErrUnsupported, runtime.GOOS, runtime.GOARCH)

func reserve(uintptr) (unsafe.Pointer, error)              { return nil, errPlatform }
func create(string, uintptr) (*Region, error)              { return nil, errPlatform }
func mapPrivate(*os.File, uintptr) (unsafe.Pointer, error) { return nil, errPlatform }
func commit(unsafe.Pointer, uintptr) error                 { return errPlatform }
func release(kind, unsafe.Pointer, uintptr) error          { return errPlatform }
func unmap(kind, unsafe.Pointer, uintptr) error            { return errPlatform }
func (r *Region) sync() error                              { return errPlatform }
