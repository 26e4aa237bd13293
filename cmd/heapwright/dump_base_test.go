package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
)

// openBytes opens memory as a raw dump without an address.
func openBytes(t testing.TB, b []byte, flags ...string) (*dump, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ram.bin")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var in input
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	in.flags(cmd)
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	if err := in.check(cmd, []string{path}); err != nil {
		t.Fatal(err)
	}
	d, err := in.openDump(cmd, path)
	if err == nil {
		t.Cleanup(d.close)
	}
	return d, err
}

// liteosPool returns a pool as a device has it in memory.
func liteosPool(t testing.TB, l layout.LiteOS, at heap.Addr) []byte {
	t.Helper()
	h := layout.LiteOSHeap{Layout: l, Addr: at}
	for i := range 40 {
		h.Nodes = append(h.Nodes, layout.LiteOSNode{Size: uint64(16 + 8*i), Task: 3, Free: i%5 == 4})
	}
	pool, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// noise is memory that looks like nothing.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

// A pool in the middle of a dump of all RAM tells where that was.
func TestBaseOfPool(t *testing.T) {
	both := layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 64, MulPool: true}
	wide := both
	wide.Bits64 = true
	for _, c := range []struct {
		l    layout.LiteOS
		base heap.Addr
	}{
		{layout.LiteOS{}, 0x20000000},
		{both, 0x80000000},
		{both, 0},
		{wide, 0x40000000},
		{wide, 0xffff000000000000},
	} {
		const off = 0x12340
		ram := append(noise(off), liteosPool(t, c.l, c.base+off)...)
		ram = append(ram, noise(0x8000)...)
		d, err := openBytes(t, ram)
		if err != nil {
			t.Errorf("%v at %s: %v", c.l, c.base, err)
			continue
		}
		a := d.pools[0].About()
		if a.Span.Start != c.base+off || a.Sound != a.Seen || len(d.pools) != 1 {
			t.Errorf("%v at %s: found at %s, %d of %d nodes sound", c.l, c.base, a.Span.Start, a.Sound, a.Seen)
		}
		if !strings.Contains(d.baseNote, "taken to be at "+c.base.String()) {
			t.Errorf("note %q", d.baseNote)
		}
	}
}

// So does a pool of OpenHarmony.
func TestBaseOfTLSF(t *testing.T) {
	const base, off = 0x20000000, 0x100
	h := layout.TLSFHeap{Addr: base + off}
	for i := range 30 {
		h.Nodes = append(h.Nodes, layout.TLSFNode{Size: uint64(20 + i), Free: i%7 == 3})
	}
	pool, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openBytes(t, append(noise(off), pool...))
	if err != nil {
		t.Fatal(err)
	}
	if a := d.pools[0].About(); a.Span.Start != base+off || a.Sound != a.Seen {
		t.Errorf("found at %s, %d of %d nodes sound", a.Span.Start, a.Sound, a.Seen)
	}
}

// Without the end of its pool, a dump is told by its empty lists.
func TestBaseOfLists(t *testing.T) {
	const base, off = 0x30000000, 0x4000
	pool := liteosPool(t, layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}, base+off)
	ram := append(noise(off), pool[:len(pool)-100]...)
	d, err := openBytes(t, ram)
	if err != nil {
		t.Fatal(err)
	}
	if a := d.pools[0].About(); a.Span.Start != base+off {
		t.Errorf("found at %s", a.Span.Start)
	}
	if !strings.Contains(d.baseNote, "empty lists") {
		t.Errorf("note %q", d.baseNote)
	}
}

// --pool finds the pool of that address among several bases.
func TestBaseOfGivenPool(t *testing.T) {
	var ram []byte
	ram = append(ram, liteosPool(t, layout.LiteOS{}, 0x50000000)...)
	ram = append(ram, liteosPool(t, layout.LiteOS{}, 0x60000000)...)
	for _, at := range []string{"0x50000000", "0x60000000"} {
		d, err := openBytes(t, ram, "--pool", at)
		if err != nil {
			t.Errorf("%s: %v", at, err)
			continue
		}
		if a := d.pools[0].About(); a.Span.Start.String() != at {
			t.Errorf("%s: found at %s", at, a.Span.Start)
		}
	}
	if _, err := openBytes(t, ram, "--pool", "0x70000000"); err == nil || !strings.Contains(err.Error(), "looked at 0x70000000 only") {
		t.Errorf("%v", err)
	}
}

// A file that a pool of a Go program lived in tells where it was mapped.
func TestBaseOfOwnPool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool")
	p, err := heapwright.New(heapwright.Config{File: path, MaxSize: 1 << 20, LeakCheck: true})
	if err != nil {
		t.Skip(err)
	}
	defer p.Close()
	q, err := p.Alloc(100)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := openBytes(t, b)
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.snapshots(nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := d.pools[0].About(); a.Span.Start != p.Addr() || len(all[0].Nodes) != 1 || all[0].Nodes[0].Payload != heap.Addr(uintptr(q)) {
		t.Errorf("found at %s, not %s; nodes %+v", a.Span.Start, p.Addr(), all[0].Nodes)
	}
}

// Patterns name no base, and nothing is found in them.
func TestBaseOfNothing(t *testing.T) {
	for name, b := range map[string][]byte{
		"zeroes": make([]byte, 1<<20),
		"ones":   bytes.Repeat([]byte{0xff}, 1<<20),
		"fill":   bytes.Repeat([]byte{0xa5, 0xa5, 0x5a, 0x00}, 1<<18),
		"noise":  noise(1 << 20),
		"short":  {1},
	} {
		if d, err := openBytes(t, b, "--layout", "liteos"); err == nil {
			t.Errorf("%s: found %d pools", name, len(d.pools))
		} else if !strings.Contains(err.Error(), "address unknown") {
			t.Errorf("%s: %v", name, err)
		}
		if votes := basesOfLists(b); len(votes) > 0 {
			t.Errorf("%s: bases %v", name, votes)
		}
	}
}

func FuzzBase(f *testing.F) {
	f.Add(liteosPool(f, layout.LiteOS{}, 0x1000)[:600])
	f.Add(bytes.Repeat([]byte("\x00\x10\x00\x00"), 100))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for h := range headsOf(b, 0) {
			if h.pool < h.base || uint64(h.pool-h.base) >= uint64(len(b)) {
				t.Errorf("a head at %s of memory at %s", h.pool, h.base)
			}
		}
		if n := len(basesOfLists(b)); n > maxBases {
			t.Errorf("%d bases", n)
		}
	})
}

func BenchmarkBase(b *testing.B) {
	ram := noise(64 << 20)
	b.SetBytes(int64(len(ram)))
	for b.Loop() {
		for range headsOf(ram, 0) {
		}
		basesOfLists(ram)
	}
}
