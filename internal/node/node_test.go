package node

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestHeaderFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size, prev := rapid.Uint32().Draw(t, "size"), rapid.Uint32().Draw(t, "prev")
		owner := rapid.Uint16().Draw(t, "owner")
		slack := rapid.Uint32Range(0, MaxSlack).Draw(t, "slack")
		for s := Used; s <= Bound; s++ {
			h := Make(size, prev, s, owner, slack)
			if h.Size() != size || h.Prev() != prev || h.State() != s || h.Owner() != owner || h.Slack() != slack {
				t.Fatalf("%+v", h)
			}
			g := h.WithSize(1).WithPrev(2).WithState(Dead)
			if g.Size() != 1 || g.Prev() != 2 || g.State() != Dead || g.Owner() != owner || g.Slack() != slack {
				t.Fatalf("%+v", g)
			}
		}
	})
}

// The documented cost of a node for each configuration.
func TestCosts(t *testing.T) {
	for _, c := range []struct {
		stacks, backup bool
		lrs            int
		head           uintptr
	}{
		{false, false, 0, 16},
		{false, true, 0, 32},
		{true, false, 3, 32},
		{true, true, 3, 64},
		{true, false, 0, 32},
		{true, true, 7, 96},
		{true, true, 8, 128},
		{true, true, 32, 320},
	} {
		l := NewLayout(c.stacks, c.lrs, c.backup, 1)
		if l.Head != c.head || l.Head%Unit != 0 || l.Slot != 0 != c.backup {
			t.Errorf("%+v costs %d bytes", c, l.Head)
		}
		if int(l.MinU)*Unit-1+Unit > MaxSlack {
			t.Errorf("%+v: slack may not fit", c)
		}
	}
}

// arena is two nodes in memory, aligned: the second one's header is the one
// under test.
type arena struct {
	mem  []uint64
	base unsafe.Pointer
	l    Layout
}

const front0, first, second, end = 16, 20, 60, 250

func newArena(l Layout) *arena {
	a := &arena{mem: make([]uint64, 2*300), l: l}
	a.base = unsafe.Pointer(unsafe.SliceData(a.mem))
	return a
}

func (a *arena) ctrl(ref uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(a.base, uintptr(ref)*Unit+a.l.Slot)), a.l.Ctrl)
}

func (a *arena) slot(ref uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(a.base, uintptr(ref)*Unit)), a.l.Slot)
}

// Every bit of a header and of its backup counts, as do the place and the pool.
func TestInspectNoticesEveryBit(t *testing.T) {
	for _, lrs := range []int{-1, 0, 1, 3, 4, 7, 8, 32} {
		for _, backup := range []bool{false, true} {
			l := NewLayout(lrs >= 0, max(lrs, 0), backup, 12345)
			a := newArena(l)
			for i := range lrs {
				*LR(unsafe.Pointer(unsafe.SliceData(a.ctrl(second))), i) = uint32(i) * 0x01010101
			}
			l.Put(a.base, second, end, Make(100, second-first, Used, 3, 5))
			want := bytes.Clone(a.ctrl(second))
			check := func(good bool, format string, args ...any) {
				t.Helper()
				if h, ok := l.Inspect(a.base, second, end); ok != good || good && h.Size() != 100 {
					t.Errorf("lrs %d, backup %v: inspect says %v: "+format, append([]any{lrs, backup, ok}, args...)...)
				}
			}
			check(true, "untouched")
			if backup && !bytes.Equal(a.slot(first), want) {
				t.Errorf("backup % x, want % x", a.slot(first), want)
			}
			places := [][]byte{a.ctrl(second)}
			if backup {
				places = append(places, a.slot(first))
			}
			for _, p := range places {
				for bit := range len(p) * 8 {
					p[bit/8] ^= 1 << (bit % 8)
					check(false, "bit %d flipped", bit)
					p[bit/8] ^= 1 << (bit % 8)
				}
				for _, fill := range []byte{0, 0xff, 'A'} {
					copy(p, bytes.Repeat([]byte{fill}, len(p)))
					check(false, "filled with %#x", fill)
					copy(p, want)
				}
			}
			check(true, "restored")

			// The same bytes elsewhere, or in another pool, are no header.
			c := unsafe.Pointer(unsafe.SliceData(a.ctrl(second)))
			if _, ok := l.Check(c, second+1); ok {
				t.Error("good at another place")
			}
			other := NewLayout(lrs >= 0, max(lrs, 0), backup, 12346)
			if _, ok := other.Check(c, second); ok {
				t.Error("good in another pool")
			}
			if l.SumAt(c, second) != Read(c).Sum() {
				t.Error("the recomputed checksum differs")
			}
		}
	}
}

// Turn and Trusted notice every bit of what they look at, Turn changes nothing
// then, and what it writes is what PutStamped would have written.
func TestTurn(t *testing.T) {
	for _, lrs := range []int{-1, 0, 3} {
		for _, backup := range []bool{false, true} {
			l := NewLayout(lrs >= 0, max(lrs, 0), backup, 99)
			a := newArena(l)
			const third = second + 100
			l.Put(a.base, front0, end, Make(first-front0, 0, Used, 0, 0))
			l.Put(a.base, first, end, Make(second-first, first-front0, Used, 1, 0))
			l.Put(a.base, second, end, Make(third-second, second-first, Used, 2, 9))
			l.Put(a.base, third, end, Make(20, third-second, Free, 0, 0))
			l.Put(a.base, third+20, end, Make(20, 20, Used, 0, 0))
			sound := append([]uint64(nil), a.mem...)
			stamp := Stamp{7, 0x11111111, 0x22222222, 0x33333333}
			try := func() bool {
				h, ok := l.Turn(a.base, second, end, third-second, Used, Into(Quick), &stamp)
				if ok && (h.State() != Used || h.Owner() != 2 || h.Slack() != 9) {
					t.Errorf("Turn returns %+v", h)
				}
				return ok
			}

			places := [][]byte{a.ctrl(second)}
			if backup { // the other witnesses and the neighbours
				places = append(places, a.slot(first), a.slot(second), a.ctrl(third), a.ctrl(first), a.slot(third))
			}
			for i, p := range places {
				for bit := range len(p) * 8 {
					p[bit/8] ^= 1 << (bit % 8)
					damaged := append([]uint64(nil), a.mem...)
					if try() {
						t.Fatalf("lrs %d, backup %v: bit %d of place %d does not count", lrs, backup, bit, i)
					}
					if !slices.Equal(a.mem, damaged) {
						t.Fatal("a refused Turn has changed something")
					}
					if _, ok := l.Trusted(a.base, second, end); ok && i < 4 {
						t.Fatalf("lrs %d, backup %v: bit %d of place %d does not count for Trusted", lrs, backup, bit, i)
					}
					copy(a.mem, sound)
				}
			}
			for what, ok := range map[string]bool{
				"another state": turned(l.Turn(a.base, second, end, third-second, Quick, Into(Used), &stamp)),
				"another size":  turned(l.Turn(a.base, second, end, third-second+1, Used, Into(Quick), &stamp)),
			} {
				if ok {
					t.Errorf("%s was believed", what)
				}
			}

			if !try() {
				t.Fatal("a sound node was refused")
			}
			after := append([]uint64(nil), a.mem...)
			copy(a.mem, sound)
			l.PutStamped(a.base, second, end, Make(third-second, second-first, Quick, 2, 9), &stamp)
			if !slices.Equal(a.mem, after) {
				t.Error("Turn and PutStamped differ")
			}
			l.Turn(a.base, second, end, third-second, Quick, Become(Used, 5, 3), &stamp)
			if h, ok := l.Trusted(a.base, second, end); !ok || h.State() != Used || h.Owner() != 5 || h.Slack() != 3 {
				t.Errorf("after Become: %+v, %v", h, ok)
			}
		}
	}
}

func turned(_ Header, ok bool) bool { return ok }

// Both copies overwritten alike do not pass for each other.
func TestEqualCopiesAreNotEnough(t *testing.T) {
	l := NewLayout(true, 3, true, 1)
	a := newArena(l)
	l.Put(a.base, second, end, Make(100, second-first, Used, 0, 0))
	for _, fill := range []byte{0, 0xff, 'A'} {
		copy(a.ctrl(second), bytes.Repeat([]byte{fill}, int(l.Ctrl)))
		copy(a.slot(first), bytes.Repeat([]byte{fill}, int(l.Ctrl)))
		if _, ok := l.Inspect(a.base, second, end); ok {
			t.Errorf("both filled with %#x pass", fill)
		}
	}
}

// The front's backup lies in the end.
func TestFrontIsBackedUpInTheEnd(t *testing.T) {
	l := NewLayout(false, 0, true, 1)
	a := newArena(l)
	l.Put(a.base, first, end, Make(4, 0, Bound, 0, 0))
	if !bytes.Equal(a.slot(end), a.ctrl(first)) {
		t.Error("no backup in the end")
	}
	if _, ok := l.Inspect(a.base, first, end); !ok {
		t.Error("inspect does not find it")
	}
}

func TestPoolHead(t *testing.T) {
	var h Head
	if _, err := h.Read(); !errors.Is(err, ErrNoPool) {
		t.Errorf("zeroes: %v", err)
	}
	want := HeadInfo{
		Secret: 1, Stacks: true, Backup: true, LRs: 5, OmitLR: 2, End: 77, Base: 3, Anchor: 4, Text: 5,
		Created: -6, TickHz: 100, PID: 8, PoolName: "cache",
	}
	h.Write(want)
	if got, err := h.Read(); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	h.SetEnd(88)
	if got, err := h.Read(); err != nil || got.End != 88 || !h.Intact() {
		t.Errorf("%+v, %v", got, err)
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&h)), HeadSize)
	for i := range b {
		b[i] ^= 0x80
		if _, err := h.Read(); err == nil {
			t.Errorf("byte %d does not count", i)
		}
		b[i] ^= 0x80
	}
	long := HeadInfo{PoolName: string(make([]byte, 500))}
	h.Write(long)
	if got, err := h.Read(); err != nil || len(got.PoolName) != 160 {
		t.Errorf("%d bytes of name, %v", len(got.PoolName), err)
	}
}

// A damaged head is put right where what is known of it and its checksum agree.
func TestRestoreHead(t *testing.T) {
	info := HeadInfo{Secret: 77, Stacks: true, Backup: true, LRs: 3, OmitLR: 1, End: 5000, Base: 1 << 40, Anchor: 99, PoolName: "cache"}
	whole := new(Head)
	whole.Write(info)
	for at := range HeadSize {
		h := HeadOf(whole.bytes())
		h.bytes()[at] ^= 0x55
		known := h.Believe()
		known.Stacks, known.Backup, known.LRs, known.End, known.Secret = true, true, 3, 5000, 77
		b, ok := h.Restore(known)
		if ok != bytes.Equal(b, whole.bytes()) {
			t.Errorf("byte %d: whole: %v", at, ok)
		}
		known.Base = info.Base
		_, withBase := h.Restore(known)
		if want := at < 20 || at >= 24 && at < 40 || at >= 72 && at < 76 || at >= 240 && at < 248; withBase != want {
			t.Errorf("byte %d: restored %v, want %v", at, withBase, want)
		}
	}
	if h := HeadOf(whole.bytes()); h.OtherOrder() || !h.Intact() || h.Believe() != info {
		t.Errorf("%+v", h.Believe())
	}
}
