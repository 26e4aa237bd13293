package image

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// A mapped file costs the same whatever its size.
func BenchmarkOpen(b *testing.B) {
	for _, size := range []int64{1 << 20, 1 << 30} {
		b.Run(fmt.Sprintf("format=raw/bytes=%d", size), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "ram")
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			if err := f.Truncate(size); err != nil { // sparse
				b.Fatal(err)
			}
			f.Close()
			for b.Loop() {
				m, err := Open(path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				m.Close()
			}
		})
	}
}

// Bytes are those of the text, or of what a packed file holds.
func BenchmarkRead(b *testing.B) {
	memory := make([]byte, 8<<20)
	r := rand.NewChaCha8([32]byte{})
	r.Read(memory[:4<<20])
	segments := []Segment{{Addr: 0x80000000, Bytes: memory}}
	for _, c := range []struct {
		format string
		file   []byte
		size   int
	}{
		{"ihex", intelHex(segments, 16), 0},
		{"srec", sRecords(segments, 16), 0},
		{"gzip", packed(memory), len(memory)},
	} {
		b.Run("format="+c.format, func(b *testing.B) {
			b.SetBytes(int64(max(c.size, len(c.file))))
			for b.Loop() {
				if _, err := decode("x", c.file, Options{MaxBytes: DefaultMaxBytes}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkView(b *testing.B) {
	for _, spans := range []int{1, 100, 100_000} {
		b.Run(fmt.Sprintf("spans=%d", spans), func(b *testing.B) {
			file := make([]byte, 64)
			pieces := make([]Segment, spans)
			for i := range pieces {
				pieces[i] = Segment{Addr: heap.Addr(i * 128), Bytes: file}
			}
			m := &Image{}
			m.spans, m.borders, _ = join(pieces, DefaultMaxBytes)
			addr, sum := heap.Addr(0), 0
			for b.Loop() {
				sum += len(m.View(addr, 32))
				addr = (addr + 128*7919) % heap.Addr(spans*128)
			}
			if sum == 0 {
				b.Fatal("nothing is seen")
			}
		})
	}
}
