package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
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

// selves is memory each word of which is its own address.
func selves(n int) []byte {
	b := make([]byte, n)
	for i := 0; i+4 <= n; i += 4 {
		binary.LittleEndian.PutUint32(b[i:], uint32(0x100000+i))
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

// Neither is one of OpenHarmony with words of 8 bytes, nor where the dump ends
// early: its bitmap says which lists are empty.
func TestBaseOfCutTLSF(t *testing.T) {
	for _, l := range []layout.TLSF{{}, {Bits64: true}, {Bits64: true, A: true, Integrity: true}, {Waterline: true, Regions: true}} {
		const base, off = 0x20000000, 0x100
		h := layout.TLSFHeap{Layout: l, Addr: base + off}
		for i := range 60 {
			h.Nodes = append(h.Nodes, layout.TLSFNode{Size: uint64(24 + 8*i), Free: i%7 == 3})
		}
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		whole := append(noise(off), pool...)
		for _, n := range []int{len(whole), off + int(starts[40]-h.Addr)} {
			var found []headAt
			for c := range headsOf(whole[:n], 0) {
				found = append(found, c)
			}
			if len(found) != 1 || found[0] != (headAt{base, h.Addr, true}) {
				t.Errorf("%v, %d of %d bytes: heads %v", l, n, len(whole), found)
			}
		}
	}
}

// Memory full of what is nearly a head does not hide the true one.
func TestBaseAmongFalseHeads(t *testing.T) {
	const base, off = 0x20000000, 0x100000
	ram := noise(off)
	for o := 0; o+256 <= off; o += 256 { // with an end node but for its magic
		for i, v := range []uint32{uint32(0x30000000 + o), 256, 64, 128} {
			binary.LittleEndian.PutUint32(ram[o+4*i:], v)
		}
		binary.LittleEndian.PutUint32(ram[o+252:], 1<<31|16)
	}
	both := layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 64, MulPool: true}
	ram = append(ram, liteosPool(t, both, base+off)...)
	d, err := openBytes(t, ram)
	if err != nil {
		t.Fatal(err)
	}
	if a := d.pools[0].About(); a.Span.Start != base+off {
		t.Errorf("found at %s", a.Span.Start)
	}
}

// A dump that ends within its pool is told by the lists in the pool's head.
func TestBaseOfCutPool(t *testing.T) {
	both := layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 64, MulPool: true}
	wide := both
	wide.Bits64 = true
	for _, l := range []layout.LiteOS{{}, {MulPool: true}, {Bits64: true, LeakCheck: true, LRs: 3, HeadBackup: true}, both, wide} {
		const base, off = 0x30000000, 0x4000
		pool := liteosPool(t, l, base+off)
		ram := append(noise(off), pool[:len(pool)-100]...)
		d, err := openBytes(t, ram)
		if err != nil {
			t.Errorf("%v: %v", l, err)
			continue
		}
		if a := d.pools[0].About(); a.Span.Start != base+off || !strings.Contains(d.baseNote, "the head of a pool") {
			t.Errorf("%v: found at %s; note %q", l, a.Span.Start, d.baseNote)
		}
	}
}

// So are the first bytes of the 16 MiB that a device's pool has.
func TestBaseOfCutDump(t *testing.T) {
	for name, at := range map[string]heap.Addr{"leak-after": 0x568c0, "both-overflow-header": 0x578c0} {
		f, err := os.Open(filepath.Join("../../image/layout/testdata", name+".bin.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		ram := make([]byte, 2<<20)
		if _, err := io.ReadFull(z, ram); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{20000, 200000, len(ram)} {
			d, err := openBytes(t, ram[:n])
			if err != nil {
				t.Errorf("%d bytes of %s: %v", n, name, err)
			} else if a := d.pools[0].About(); a.Span.Start != at {
				t.Errorf("%d bytes of %s: found at %s", n, name, a.Span.Start)
			}
		}
	}
}

// With neither the end of its pool nor right totals, a dump is told by its empty
// lists.
func TestBaseOfLists(t *testing.T) {
	const base, off = 0x30000000, 0x4000
	l := layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 64}
	pool := liteosPool(t, l, base+off)
	copy(pool[l.Offsets().Used:], "AAAA")
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
		"selves": selves(1 << 20),
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

// The heads that are tried, and the work on what may be one, are bounded.
func TestHeadsAreBounded(t *testing.T) {
	// All lists of these heads lead to the same two places in each other's pools.
	b := make([]byte, 1<<20)
	for o := 0; o+8 <= len(b); o += 8 {
		binary.LittleEndian.PutUint32(b[o:], 0x100000)
		binary.LittleEndian.PutUint32(b[o+4:], 0x200000)
	}
	n := 0
	for range headsOf(b, 0) {
		n++
	}
	if n != maxHeads {
		t.Errorf("%d heads", n)
	}
	s := headSearch{b: make([]byte, 1<<20), budget: 100, word: 4, self: 1 << 20, size: 1 << 20}
	if s.anyLists() || s.budget != 0 {
		t.Errorf("lists in zeroes; %d words left", s.budget)
	}
	binary.LittleEndian.PutUint32(s.b[len(s.b)-4:], 1<<31|16)
	self := int64(s.self)
	binary.LittleEndian.PutUint32(s.b[len(s.b)-16:], uint32(^(self + int64(len(s.b)) - 16)))
	if s.liteosEnd() {
		t.Error("an end is looked at with nothing left")
	}
	if s.budget = endCost; !s.liteosEnd() {
		t.Error("the end is not found")
	}
}

func FuzzBase(f *testing.F) {
	f.Add(liteosPool(f, layout.LiteOS{}, 0x1000)[:600])
	f.Add(liteosPool(f, layout.LiteOS{Bits64: true, TaskStat: true, Tasks: 3}, 0x1000))
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
