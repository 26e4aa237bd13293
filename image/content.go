package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"unsafe"

	"github.com/heapwright/heapwright/internal/osmem"
)

var (
	// ErrTooLarge says that a file would take more memory than
	// Options.MaxBytes.
	ErrTooLarge = errors.New("too large")
	// ErrShrunk says that a mapped file was made shorter while it was read.
	ErrShrunk = errors.New("the file was made shorter while it was read")

	errEmpty = errors.New("the file is empty")
)

// content is the bytes of a file, mapped or in the Go heap.
type content struct {
	bytes  []byte
	region *osmem.Region // nil: in the Go heap
}

// load maps the file at path, or reads it where it cannot be mapped: not a
// regular file, a file system or platform that cannot, or asked for.
func load(path string, o Options) (content, error) {
	info, err := os.Stat(path)
	if err != nil {
		return content{}, err
	}
	if info.IsDir() {
		return content{}, fmt.Errorf("%s is a directory", path)
	}
	// Length 0 is also what a file has that the kernel makes up as it is read.
	if info.Mode().IsRegular() && info.Size() > 0 && !o.Copy {
		if r, err := osmem.OpenPrivate(path); err == nil {
			return content{bytes: unsafe.Slice((*byte)(r.Base()), r.Size()), region: r}, nil
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return content{}, err
	}
	defer f.Close()
	b, err := readAll(f, uint64(max(0, info.Size())), o.MaxBytes)
	if err != nil {
		return content{}, fmt.Errorf("%s: %w", path, err)
	}
	return content{bytes: b}, nil
}

// close gives a mapping back.
func (c content) close() error {
	if c.region == nil {
		return nil
	}
	return c.region.Close()
}

// readAll reads r to its end. What it has read is good whatever the error. size
// is what is probably there; more than most bytes are an error.
func readAll(r io.Reader, size, most uint64) ([]byte, error) {
	most = min(most, math.MaxInt-1)
	b := make([]byte, 0, min(max(size, 4096), most)+1) // the end is noticed without growing
	for {
		n, err := r.Read(b[len(b):min(uint64(cap(b)), most+1)])
		b = b[:len(b)+n]
		switch {
		case uint64(len(b)) > most:
			return b[:most], fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		case len(b) == cap(b):
			b = append(b, 0)[:len(b)]
		}
	}
}

// The gzip trailer's claim about the length is believed up to trustedRatio times
// the packed length, and as long as it is possible, up to trustedSize. Beyond,
// what really comes is counted first.
const (
	trustedRatio = 64
	trustedSize  = 64 << 20
	bestRatio    = 1032 // of deflate
)

// unpack returns what the gzip file packed holds. Where the file is cut or
// damaged, partial says so and b is what was there before. It takes no more
// memory than that has bytes, and the most of the above.
func unpack(packed []byte, most uint64) (b []byte, partial string, err error) {
	var claim uint64
	if len(packed) >= 4 {
		claim = uint64(binary.LittleEndian.Uint32(packed[len(packed)-4:])) // RFC 1952, 2.3.1: ISIZE
	}
	n := uint64(len(packed))
	enough := min(claim, max(trustedRatio*n, min(bestRatio*n, trustedSize)), most)
	b, err = inflate(packed, enough, enough)
	if errors.Is(err, ErrTooLarge) && enough < most {
		b = nil
		if n, err = unpackedSize(packed, most); err == nil {
			b, err = inflate(packed, n, most)
		}
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		return nil, "", fmt.Errorf("gzip: unpacked it is %w", err)
	case err == nil:
	case len(b) == 0:
		return nil, "", fmt.Errorf("gzip: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		partial = fmt.Sprintf("the gzip file is cut: it unpacks to %d bytes and an unknown number is missing", len(b))
	case errors.Is(err, gzip.ErrChecksum):
		partial = "the gzip file is damaged: the checksum of what it unpacks to is wrong"
	default:
		partial = fmt.Sprintf("the gzip file is damaged (%v) behind %d bytes that could be unpacked", err, len(b))
	}
	return b, partial, nil
}

// inflate unpacks packed, of which size bytes are expected and more than most are
// an error.
func inflate(packed []byte, size, most uint64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return readAll(z, size, most)
}

// unpackedSize returns how many bytes packed gives, up to where it is damaged.
// More than most are an error.
func unpackedSize(packed []byte, most uint64) (uint64, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return 0, err
	}
	n, _ := io.CopyN(io.Discard, z, int64(min(most, math.MaxInt64-1)+1))
	if uint64(n) > most {
		return 0, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	}
	return uint64(n), nil
}

// Guard runs f and returns its error. If f, in this goroutine, reads bytes of
// the image that are no longer in a mapped file, Guard ends f and returns an
// error that wraps ErrShrunk, where the system reports that as a memory fault.
// Deferred functions of f run.
func (m *Image) Guard(f func() error) error { return guard(m.contents, f) }

// guard is Guard for the files in contents.
func guard(contents []content, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if fault, ok := p.(interface{ Addr() uintptr }); ok {
			for _, c := range contents {
				if c.region != nil && fault.Addr()-uintptr(c.region.Base()) < c.region.Size() {
					err = fmt.Errorf("%w (or the disk failed)", ErrShrunk)
					return
				}
			}
		}
		panic(p)
	}()
	return f()
}
