package callers

import (
	"hash/fnv"
	"runtime"
	"sync"
	"unsafe"
)

// Rebase returns the return address that slot stood for in a process whose
// Anchor was anchor; 0 for a far address, which only that process knew, and
// for an absent level. Addresses of a 32-bit process wrap around at 32 bits,
// which is for the caller to do.
func Rebase(slot uint32, anchor uint64) uint64 {
	if slot == 0 || slot+reach >= 2*reach {
		return 0
	}
	return anchor + uint64(int64(int32(slot)))
}

// TextID identifies the build of the running program: slots recorded by a
// process with the same TextID mean the same functions here. It is a hash of
// the machine code that follows the anchor, which is the same wherever the
// program is loaded, and different in a program laid out differently, because
// its calls go elsewhere.
var TextID = sync.OnceValue(func() uint64 {
	h := fnv.New64a()
	h.Write([]byte(runtime.Version() + runtime.GOOS + runtime.GOARCH))
	from := anchorPC &^ 15
	for n := uintptr(1 << 18); n >= 1<<8; n /= 2 {
		if runtime.FuncForPC(from+n) != nil { // code up to there
			p := *(*unsafe.Pointer)(unsafe.Pointer(&from))
			h.Write(unsafe.Slice((*byte)(p), n))
			break
		}
	}
	return h.Sum64()
})
