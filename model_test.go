package heapwright_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"pgregory.net/rapid"
)

// model is what a pool is expected to hold.
type model struct {
	t      *rapid.T
	p      *heapwright.Pool
	live   []block
	serial byte
	used   map[heapwright.Owner]int // nodes
}

type block struct {
	ptr   unsafe.Pointer
	n     int
	fill  byte
	owner heapwright.Owner
}

func (b block) bytes() []byte { return unsafe.Slice((*byte)(b.ptr), b.n) }

func (b block) check(t *rapid.T) {
	for i, c := range b.bytes() {
		if c != b.fill {
			t.Fatalf("byte %d of %d at %p is %#x, want %#x", i, b.n, b.ptr, c, b.fill)
		}
	}
}

func (m *model) add(ptr unsafe.Pointer, n int, o heapwright.Owner) {
	m.serial++
	b := block{ptr, n, m.serial, o}
	for i := range b.bytes() {
		b.bytes()[i] = b.fill
	}
	m.live = append(m.live, b)
	m.used[o]++
}

func (m *model) pick() int { return rapid.IntRange(0, len(m.live)-1).Draw(m.t, "block") }

func (m *model) drop(i int) {
	m.used[m.live[i].owner]--
	m.live[i] = m.live[len(m.live)-1]
	m.live = m.live[:len(m.live)-1]
}

// sizes favours small ones and those around the boundaries of the free
// structures.
var sizes = rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(1, 4000), rapid.IntRange(1900, 2100), rapid.IntRange(1, 200_000))

func (m *model) alloc(o heapwright.Options) {
	n := sizes.Draw(m.t, "size")
	o.Owner = heapwright.Owner(rapid.IntRange(0, 3).Draw(m.t, "owner"))
	ptr, err := m.p.AllocWith(n, o)
	if errors.Is(err, heapwright.ErrExhausted) || errors.Is(err, heapwright.ErrTooLarge) {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if align := uintptr(max(o.Align, 16)); uintptr(ptr)%align != 0 {
		m.t.Fatalf("%p is not aligned to %d", ptr, align)
	}
	if o.Zero {
		for i, c := range unsafe.Slice((*byte)(ptr), n) {
			if c != 0 {
				m.t.Fatalf("zeroed memory has %#x at %d", c, i)
			}
		}
	}
	m.add(ptr, n, o.Owner)
}

func (m *model) Alloc(*rapid.T)       { m.alloc(heapwright.Options{}) }
func (m *model) AllocZeroed(*rapid.T) { m.alloc(heapwright.Options{Zero: true}) }

func (m *model) AllocAligned(*rapid.T) {
	m.alloc(heapwright.Options{Align: 1 << rapid.IntRange(3, 16).Draw(m.t, "shift")})
}

func (m *model) Free(*rapid.T) {
	if len(m.live) == 0 {
		m.t.Skip()
	}
	i := m.pick()
	m.live[i].check(m.t)
	if err := m.p.Free(m.live[i].ptr); err != nil {
		m.t.Fatal(err)
	}
	m.drop(i)
}

func (m *model) Realloc(*rapid.T) {
	if len(m.live) == 0 {
		m.t.Skip()
	}
	i := m.pick()
	old := m.live[i]
	n := sizes.Draw(m.t, "size")
	ptr, err := m.p.Realloc(old.ptr, n)
	if errors.Is(err, heapwright.ErrExhausted) || errors.Is(err, heapwright.ErrTooLarge) {
		old.check(m.t)
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	block{ptr, min(n, old.n), old.fill, 0}.check(m.t)
	m.drop(i)
	m.add(ptr, n, old.owner)
}

func (m *model) ReleaseFree(*rapid.T) {
	if _, err := m.p.ReleaseFree(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) WildFree(*rapid.T) {
	if len(m.live) == 0 {
		m.t.Skip()
	}
	b := m.live[m.pick()]
	off := rapid.IntRange(1, b.n+32).Draw(m.t, "offset")
	ptr := unsafe.Add(b.ptr, off)
	for _, o := range m.live {
		if o.ptr == ptr {
			m.t.Skip()
		}
	}
	if err := m.p.Free(ptr); !errors.Is(err, heapwright.ErrWildPointer) {
		m.t.Fatalf("free of a wild pointer: %v", err)
	}
}

// Check runs after every action.
func (m *model) Check(*rapid.T) {
	s := m.p.Stats()
	payload := 0
	for _, b := range m.live {
		payload += b.n
	}
	if s.UsedNodes != uint64(len(m.live)) || s.Payload != uint64(payload) {
		m.t.Fatalf("stats say %d nodes with %d bytes, want %d with %d", s.UsedNodes, s.Payload, len(m.live), payload)
	}
	if s.Used+s.Free != s.Size || s.Waterline < s.Used || s.LargestFree > s.Free || (s.FreeNodes == 0) != (s.Free == 0) {
		m.t.Fatalf("stats contradict themselves: %+v", s)
	}
	for _, o := range m.p.Owners() {
		if int(o.Nodes) != m.used[o.Owner] {
			m.t.Fatalf("owner %d has %d nodes, want %d", o.Owner, o.Nodes, m.used[o.Owner])
		}
	}
}

func TestRandom(t *testing.T) {
	region := make([]byte, 1<<20)
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		cfg := heapwright.Config{
			LeakCheck:      rapid.Bool().Draw(t, "leak check"),
			HeadBackup:     rapid.Bool().Draw(t, "head backup"),
			IntegrityCheck: rapid.IntRange(0, 9).Draw(t, "integrity") == 0,
			RecordLR:       rapid.SampledFrom([]int{0, heapwright.None, 1, 8, 32}).Draw(t, "lrs"),
			OnFinding: func(f heap.Finding) {
				if !f.Kind.WildPointer() {
					t.Errorf("finding: %s", f.Summary())
				}
			},
		}
		switch rapid.IntRange(0, 2).Draw(t, "source") {
		case 0:
			cfg.MaxSize = 2 << 20
		case 1:
			cfg.Region = region[rapid.IntRange(0, 15).Draw(t, "misalignment"):]
		case 2:
			runs++
			cfg.File = filepath.Join(dir, string(rune('a'+runs%26))+string(rune('a'+runs/26%26))+string(rune('a'+runs/676)))
			cfg.MaxSize = 512 << 10
		}
		p, err := heapwright.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &model{t: t, p: p, used: map[heapwright.Owner]int{}}
		t.Repeat(rapid.StateMachineActions(m))

		for _, b := range m.live {
			b.check(t)
		}
		if n, err := p.Check(func(f heap.Finding) { t.Errorf("check: %s", f.Summary()) }); n != 0 || err != nil {
			t.Fatalf("check: %d findings, %v", n, err)
		}
		snap, err := p.Snapshot()
		if err != nil || len(snap.Nodes) != len(m.live) {
			t.Fatalf("snapshot has %d nodes, want %d (%v)", len(snap.Nodes), len(m.live), err)
		}
		for _, b := range m.live {
			if err := p.Free(b.ptr); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.ReleaseFree(); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats(); s.FreeNodes != 1 || s.LargestFree != s.Free || s.UsedNodes != 0 {
			t.Fatalf("an empty pool is not one free node: %+v", s)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPool runs a stream of operations, one per three bytes, and checks
// contents and structure at the end.
func FuzzPool(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 0, 3, 0, 0, 2, 1, 9, 3, 0, 0})
	f.Add(bytes.Repeat([]byte{0, 0xff, 0x10, 3, 1, 0}, 20))
	f.Fuzz(func(t *testing.T, ops []byte) {
		p, err := heapwright.New(heapwright.Config{
			Region: make([]byte, 256<<10), LeakCheck: true, HeadBackup: true,
			OnFinding: func(f heap.Finding) {
				if !f.Kind.WildPointer() {
					t.Errorf("finding: %s", f.Summary())
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		var live [][]byte
		fill := func(b []byte, c byte) {
			for i := range b {
				b[i] = c
			}
		}
		intact := func(b []byte) {
			if len(b) > 0 && bytes.Count(b, b[:1]) != len(b) {
				t.Fatal("contents changed")
			}
		}
		for ; len(ops) >= 3; ops = ops[3:] {
			n := int(ops[1]) | int(ops[2])<<8
			i := -1
			if len(live) > 0 {
				i = int(ops[1]) % len(live)
			}
			switch ops[0] % 5 {
			case 0, 1:
				o := heapwright.Options{}
				if ops[0]%5 == 1 {
					o.Align = 8 << (ops[0] >> 4)
				}
				if ptr, err := p.AllocWith(n, o); err == nil {
					b := unsafe.Slice((*byte)(ptr), n)
					fill(b, byte(len(live)))
					live = append(live, b)
				}
			case 2:
				if i >= 0 {
					intact(live[i])
					n := int(ops[2]) * 40
					if b, err := p.ReallocBytes(live[i], n); err == nil {
						intact(b[:min(n, len(live[i]))])
						fill(b, byte(i))
						live[i] = b
					}
				}
			case 3:
				if i >= 0 {
					intact(live[i])
					if err := p.FreeBytes(live[i]); err != nil {
						t.Fatal(err)
					}
					live[i] = live[len(live)-1]
					live = live[:len(live)-1]
				}
			case 4:
				if i >= 0 && len(live[i]) > n%64+1 {
					if err := p.FreeBytes(live[i][n%64+1:]); err == nil {
						t.Fatal("an inner pointer was freed")
					}
				}
			}
		}
		for _, b := range live {
			intact(b)
		}
		if n, _ := p.Check(func(f heap.Finding) { t.Error(f.Summary()) }); n != 0 {
			t.Fatal("the pool is damaged")
		}
	})
}
