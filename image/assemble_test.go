package image

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// byAddress is the model of an image: a map, into which the first writes.
func byAddress(pieces []Segment) (m map[heap.Addr]byte, twice uint64) {
	m = make(map[heap.Addr]byte)
	for _, p := range pieces {
		for i, b := range p.Bytes {
			a := p.Addr + heap.Addr(i)
			if _, ok := m[a]; ok {
				twice++
			} else {
				m[a] = b
			}
		}
	}
	return m, twice
}

// drawPieces draws small pieces that are often adjacent and often overlap, some
// of them from one array.
func drawPieces(t *rapid.T) []Segment {
	file := make([]byte, 200)
	for i := range file {
		file[i] = byte(i)
	}
	var all []Segment
	for i := range rapid.IntRange(0, 12).Draw(t, "pieces") {
		from := rapid.IntRange(0, len(file)).Draw(t, "from")
		to := rapid.IntRange(from, min(len(file), from+40)).Draw(t, "to")
		s := Segment{Addr: heap.Addr(rapid.IntRange(0, 160).Draw(t, "addr")), Bytes: file[from:to], Name: fmt.Sprint(i)}
		if i > 0 && rapid.Bool().Draw(t, "adjacent") {
			s.Addr = all[i-1].limit()
		}
		if rapid.Bool().Draw(t, "elsewhere") {
			s.Bytes = bytes.Clone(s.Bytes)
		}
		all = append(all, s)
	}
	return all
}

func TestDisjoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := drawPieces(t)
		want, wantTwice := byAddress(pieces)
		var count uint64
		owner := make(map[heap.Addr]string)
		for _, p := range pieces {
			for i := range p.Bytes {
				if a := p.Addr + heap.Addr(i); owner[a] == "" {
					owner[a] = p.Name
				}
			}
		}
		segments, twice := disjoint(slices.Clone(pieces))
		for i, s := range segments {
			if len(s.Bytes) == 0 || i > 0 && segments[i-1].limit() > s.Addr {
				t.Fatalf("segment %d: %d bytes at %s", i, len(s.Bytes), s.Addr)
			}
			if i > 0 && segments[i-1].limit() == s.Addr && segments[i-1].Name == s.Name {
				t.Fatalf("segment %d was cut off the one before", i)
			}
			for j, b := range s.Bytes {
				a := s.Addr + heap.Addr(j)
				if want[a] != b || owner[a] != s.Name {
					t.Fatalf("at %s: %d of %s instead of %d of %s", a, b, s.Name, want[a], owner[a])
				}
				count++
			}
		}
		if int(count) != len(want) || twice != wantTwice {
			t.Fatalf("%d bytes and %d twice instead of %d and %d", count, twice, len(want), wantTwice)
		}
	})
}

func TestJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := drawPieces(t)
		segments, _ := disjoint(slices.Clone(pieces))
		want, _ := byAddress(pieces)
		budget := rapid.SampledFrom([]uint64{0, 50, 1 << 20}).Draw(t, "budget")
		m := &Image{segments: segments}
		var apart int
		m.spans, m.borders, apart = join(segments, budget)
		got := make(map[heap.Addr]byte)
		for i, s := range m.spans {
			if len(s.Bytes) == 0 || i > 0 && m.spans[i-1].Addr+heap.Addr(len(m.spans[i-1].Bytes)) > s.Addr {
				t.Fatalf("span %d: %d bytes at %s", i, len(s.Bytes), s.Addr)
			}
			if budget >= 1<<20 && i > 0 && adjacent(m.spans, i) {
				t.Fatalf("spans %d and %d are not one", i-1, i)
			}
			for j, b := range s.Bytes {
				got[s.Addr+heap.Addr(j)] = b
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("spans %v instead of %v", got, want)
		}
		if budget >= 1<<20 && apart > 0 {
			t.Fatalf("%d borders that cannot be read across", apart)
		}
		again := make(map[heap.Addr]byte)
		for _, s := range segments {
			// A segment is where its span is, not a copy.
			if v := m.View(s.Addr, uint64(len(s.Bytes))); v == nil || &v[0] != &s.Bytes[0] {
				t.Fatalf("the segment at %s is not a part of a span", s.Addr)
			}
			for j, b := range s.Bytes {
				again[s.Addr+heap.Addr(j)] = b
			}
		}
		if !maps.Equal(again, want) {
			t.Fatalf("segments %v instead of %v", again, want)
		}
	})
}

// What is too large to be copied is seen across its borders.
func TestBorders(t *testing.T) {
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	const base = 0x8000_0000
	sizes := []int{joinSize + 5, 3, joinSize, joinSize - 7, 5}
	var pieces []Segment
	var all []byte
	var edges []int
	for _, n := range sizes {
		pieces = append(pieces, Segment{Addr: base + heap.Addr(len(all)), Bytes: fill(n)})
		all = append(all, pieces[len(pieces)-1].Bytes...)
		edges = append(edges, len(all))
	}
	spans, borders, apart := join(pieces, DefaultMaxBytes)
	m := &Image{spans: spans, borders: borders}
	if apart != 0 || len(spans) != 4 { // the last two are one
		t.Fatalf("%d spans, %d borders, %d apart", len(spans), len(borders), apart)
	}
	for _, e := range edges[:4] {
		for _, r := range []struct{ from, to int }{{e - 1, e + 1}, {e - borderReach, min(len(all), e+50)}, {e - 4, e + 4}, {e, e + 5}, {e - 50, min(len(all), e+borderReach)}} {
			if got := m.View(base+heap.Addr(r.from), uint64(r.to-r.from)); !bytes.Equal(got, all[r.from:r.to]) {
				t.Errorf("[%d, %d) around %d: %d bytes, or other ones", r.from, r.to, e, len(got))
			}
		}
		if e == edges[3] {
			continue // copied
		}
		if m.View(base+heap.Addr(e-borderReach-4), 2*borderReach) != nil {
			t.Errorf("around %d more is seen than the border has", e)
		}
	}
	if n := testing.AllocsPerRun(100, func() { m.View(base+heap.Addr(edges[0]-2), 4) }); n != 0 {
		t.Errorf("View allocates %v times", n)
	}
	if _, _, apart := join(pieces, 1000); apart != 3 {
		t.Errorf("without memory %d borders cannot be read across", apart)
	}
}

// Very many pieces, and those that all overlap, take neither quadratic time
// nor memory.
func TestManyPieces(t *testing.T) {
	const n = 200_000
	file := make([]byte, n+10)
	for name, c := range map[string]struct {
		addr            func(i int) heap.Addr
		size            int
		segments, spans int
	}{
		"apart":       {func(i int) heap.Addr { return heap.Addr(2 * i) }, 1, n, n},
		"descending":  {func(i int) heap.Addr { return heap.Addr(2 * (n - i)) }, 1, n, n},
		"adjacent":    {func(i int) heap.Addr { return heap.Addr(n - i) }, 1, n, 1},
		"overlapping": {func(i int) heap.Addr { return heap.Addr(i) }, n, n, 1},
		"the same":    {func(i int) heap.Addr { return 5 }, n, 1, 1},
		"nested":      {func(i int) heap.Addr { return heap.Addr(n - i) }, n, n, 1},
	} {
		pieces := make([]Segment, n)
		for i := range pieces {
			off := i % 10
			if c.size == 1 {
				off = i
			}
			pieces[i] = Segment{Addr: c.addr(i), Bytes: file[off : off+c.size]}
		}
		segments, _ := disjoint(pieces)
		spans, borders, _ := join(segments, DefaultMaxBytes)
		if len(segments) != c.segments || len(spans) != c.spans || len(borders) != 0 {
			t.Errorf("%s: %d segments, %d spans, %d borders", name, len(segments), len(spans), len(borders))
		}
	}
}

// Copies are bounded even where a core claims the same bytes at ever new
// addresses.
func TestJoinTotal(t *testing.T) {
	file := make([]byte, joinSize/2)
	pieces := make([]Segment, 1000)
	for i := range pieces {
		pieces[i] = Segment{Addr: heap.Addr(i) * heap.Addr(len(file)), Bytes: file}
	}
	spans, borders, apart := join(pieces, DefaultMaxBytes)
	copied := 0
	for _, s := range spans {
		if &s.Bytes[0] != &file[0] {
			copied += len(s.Bytes)
		}
	}
	for _, b := range borders {
		copied += len(b.Bytes)
	}
	if copied > joinTotal || apart == 0 {
		t.Errorf("%d bytes copied, %d borders left", copied, apart)
	}
	if s := strings.Join(must(t, (&coreFile{wide: true, loads: chunksOf(pieces[:100])}).encode(), Options{MaxBytes: 1 << 30}).Notes(), ""); s != "" {
		t.Errorf("%s", s)
	}
}

// chunksOf returns pieces as segments of a core.
func chunksOf(pieces []Segment) []chunk {
	all := make([]chunk, len(pieces))
	for i, p := range pieces {
		all[i] = chunk{addr: uint64(p.Addr), data: p.Bytes[:10]}
	}
	return all
}
