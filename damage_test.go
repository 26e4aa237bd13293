package heapwright_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"pgregory.net/rapid"
)

// skipDamage skips a test that damages a pool under the feet of the check that
// every operation leaves a sound one.
func skipDamage(t testing.TB) {
	if heapwright.Invariants {
		t.Skip("damage on purpose")
	}
}

// bed is a pool over a region of the test's, which can therefore damage it
// anywhere, with its findings collected.
type bed struct {
	testing.TB
	*heapwright.Pool
	region   []byte
	findings []heap.Finding
	head     int // bytes in front of a payload
	backup   int // of which the backup of the next header
}

func newBed(t testing.TB, cfg heapwright.Config) *bed {
	t.Helper()
	b := &bed{TB: t, region: make([]byte, 64<<10)}
	cfg.Region = b.region
	cfg.OnFinding = func(f heap.Finding) { b.findings = append(b.findings, f) }
	p, err := heapwright.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Pool = p
	head, backup := p.HeadBytes()
	b.head, b.backup = int(head), int(backup)
	t.Cleanup(func() { p.Close() })
	return b
}

//go:noinline
func (b *bed) alloc(n int) unsafe.Pointer {
	b.Helper()
	ptr, err := b.AllocWith(n, heapwright.Options{Owner: 7})
	if err != nil {
		b.Fatal(err)
	}
	return ptr
}

// three allocates neighbours.
func (b *bed) three(n int) (x, y, z unsafe.Pointer) {
	x, y, z = b.alloc(n), b.alloc(n), b.alloc(n)
	if uintptr(y)-uintptr(x) != uintptr(z)-uintptr(y) || uintptr(y) < uintptr(x) {
		b.Fatalf("%p, %p and %p are no neighbours", x, y, z)
	}
	return x, y, z
}

// stomp overwrites n bytes from ptr+off.
func (b *bed) stomp(ptr unsafe.Pointer, off, n int, fill byte) {
	skipDamage(b.TB)
	s := unsafe.Slice((*byte)(unsafe.Add(ptr, off)), n)
	for i := range s {
		s[i] = fill
	}
}

func (b *bed) only(kind heap.Kind) heap.Finding {
	b.Helper()
	if len(b.findings) != 1 || b.findings[0].Kind != kind {
		var got []string
		for _, f := range b.findings {
			got = append(got, f.Summary())
		}
		b.Fatalf("findings:\n%s\nwant one of kind %s", strings.Join(got, "\n"), kind)
	}
	return b.findings[0]
}

func (b *bed) sound() {
	b.Helper()
	if n, err := b.Check(func(f heap.Finding) { b.Errorf("check: %s", f.Summary()) }); n != 0 || err != nil {
		b.Fatalf("the pool is not sound: %d findings, %v", n, err)
	}
}

func addrOf(p unsafe.Pointer) heap.Addr { return heap.Addr(uintptr(p)) }

var both = heapwright.Config{LeakCheck: true, HeadBackup: true}

// An overflow of x over the whole head of y is restored and told, whichever
// operation comes across it first.
func TestOverflowRestored(t *testing.T) {
	const n = 3008
	for _, fill := range []byte{0x41, 0x00, 0xff} {
		for name, touch := range map[string]func(b *bed, x, y, z unsafe.Pointer) error{
			"free the victim":        func(b *bed, x, y, z unsafe.Pointer) error { return b.Free(y) },
			"free the culprit":       func(b *bed, x, y, z unsafe.Pointer) error { return b.Free(x) },
			"free the node after":    func(b *bed, x, y, z unsafe.Pointer) error { return b.Free(z) },
			"reallocate the victim":  func(b *bed, x, y, z unsafe.Pointer) error { _, err := b.Realloc(y, 2*n); return err },
			"reallocate the culprit": func(b *bed, x, y, z unsafe.Pointer) error { _, err := b.Realloc(x, n/2); return err },
			"free a wild pointer": func(b *bed, x, y, z unsafe.Pointer) error {
				b.Free(unsafe.Add(z, 64))
				b.findings = b.findings[:1]
				return nil
			},
		} {
			t.Run(fmt.Sprintf("%s/%#x", name, fill), func(t *testing.T) {
				b := newBed(t, both)
				x, y, z := b.three(n)
				b.stomp(x, n, b.head, fill)
				if err := touch(b, x, y, z); err != nil {
					t.Fatal(err)
				}
				f := b.only(heap.HeaderDamaged)
				if !f.Recovered || f.Subject == nil || f.Subject.Payload != addrOf(y) || f.Subject.Size != n || f.Subject.Owner != 7 {
					t.Errorf("subject %+v of %s", f.Subject, f.Summary())
				}
				if f.Culprit == nil || f.Culprit.Payload != addrOf(x) || f.Culprit.Size != n || !strings.Contains(f.CulpritReason, "overflow") {
					t.Errorf("culprit %+v: %s", f.Culprit, f.CulpritReason)
				}
				if f.Previous == nil || f.Previous.Payload != addrOf(x) {
					t.Errorf("previous %+v", f.Previous)
				}
				// A byte that was already what it was overwritten with does
				// not show, so the ends of the span have some play.
				if lo, hi := addrOf(x)+n, addrOf(y); f.Span.Start < lo || f.Span.Start > lo+4 || f.Span.End > hi || f.Span.End < hi-4 {
					t.Errorf("span %v, want [%s, %s)", f.Span, lo, hi)
				}
				differ := 0
				for _, d := range f.Fields {
					if d.Differs {
						differ++
					}
				}
				if differ < 5 || f.Fields[0].Name != "size" || f.Fields[0].Backup != fmt.Sprint(n+b.head) {
					t.Errorf("fields %+v", f.Fields)
				}
				for what, s := range map[string]heap.Stack{"finding": f.Stack, "culprit": f.Culprit.Stack} {
					if fr := heapwright.Frames(s); len(fr) == 0 || !strings.Contains(fr[0].Function, "heapwright_test.") {
						t.Errorf("stack of the %s: %v", what, fr)
					}
				}
				b.sound()
			})
		}
	}
}

// What the device never notices: an overflow that ends within the backup.
func TestSmallOverflowHitsBackup(t *testing.T) {
	for name, touch := range map[string]func(b *bed, x, y, z unsafe.Pointer) error{
		"free the node whose backup it is": func(b *bed, x, y, z unsafe.Pointer) error { return b.Free(z) },
		"free the node in between":         func(b *bed, x, y, z unsafe.Pointer) error { return b.Free(y) },
		"free the culprit":                 func(b *bed, x, y, z unsafe.Pointer) error { return b.Free(x) },
		"reallocate the culprit":           func(b *bed, x, y, z unsafe.Pointer) error { _, err := b.Realloc(x, 10); return err },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, both)
			x, y, z := b.three(96)
			b.stomp(x, 96, 16, 'A')
			if err := touch(b, x, y, z); err != nil {
				t.Fatal(err)
			}
			f := b.only(heap.BackupDamaged)
			if f.Subject.Payload != addrOf(z) || !f.Recovered {
				t.Errorf("subject %+v", f.Subject)
			}
			if f.Culprit == nil || f.Culprit.Payload != addrOf(x) || f.Culprit.State != heap.Used || len(f.Culprit.Stack) == 0 {
				t.Errorf("culprit %+v: %s", f.Culprit, f.CulpritReason)
			}
			if lo, hi := addrOf(x)+96, addrOf(x)+112; f.Span.Start < lo || f.Span.Start > lo+2 || f.Span.End > hi || f.Span.End < hi-2 || !strings.Contains(f.Reach, "0x41") {
				t.Errorf("span %v, %s", f.Span, f.Reach)
			}
			b.sound()
		})
	}
}

func TestOverflowIntoFreeNode(t *testing.T) {
	b := newBed(t, both)
	x, y, _ := b.three(3008)
	if err := b.Free(y); err != nil {
		t.Fatal(err)
	}
	b.stomp(x, 3008, b.head, 'A')
	b.alloc(3000)
	if f := b.only(heap.HeaderDamaged); f.Subject.State != heap.Free || f.Culprit == nil || f.Culprit.Payload != addrOf(x) {
		t.Errorf("finding %+v", f)
	}
	b.sound()
}

func TestUnderflowBlamesItself(t *testing.T) {
	b := newBed(t, both)
	_, y, _ := b.three(96)
	b.stomp(y, -6, 6, 0xee)
	if err := b.Free(y); err != nil {
		t.Fatal(err)
	}
	if f := b.only(heap.HeaderDamaged); f.Culprit == nil || f.Culprit.Payload != addrOf(y) || !strings.Contains(f.CulpritReason, "underflow") {
		t.Errorf("culprit %+v: %s", f.Culprit, f.CulpritReason)
	}
	b.sound()
}

// Every single byte of a control header is guarded, LRs included.
func TestEveryHeaderByteIsGuarded(t *testing.T) {
	skipDamage(t)
	for _, cfg := range []heapwright.Config{{}, {LeakCheck: true}, {LeakCheck: true, RecordLR: 8}, {HeadBackup: true}, both} {
		b := newBed(t, cfg)
		_, y, _ := b.three(96)
		for off := -b.head; off < 0; off++ {
			at := (*byte)(unsafe.Add(y, off))
			*at ^= 0x10
			if n, _ := b.Check(nil); n != 1 {
				t.Errorf("%+v: byte %d of the head overwritten: %d findings", cfg, off, n)
			}
			*at ^= 0x10
		}
		b.sound()
	}
}

func TestBothDamaged(t *testing.T) {
	b := newBed(t, both)
	w := b.alloc(96)
	x, y, z := b.three(96)
	b.stomp(y, -b.head/2, b.head/2, 0x55) // the header
	b.stomp(x, -b.head, b.head/2, 0x55)   // its backup
	if err := b.Free(y); !errors.Is(err, heapwright.ErrWildPointer) || !errors.Is(err, heapwright.ErrDamaged) {
		t.Errorf("free of lost memory: %v", err)
	}
	if len(b.findings) != 2 || b.findings[0].Kind != heap.BothDamaged || b.findings[1].Kind != heap.InQuarantine {
		t.Fatalf("findings %+v", b.findings)
	}
	if f := b.findings[0]; f.Recovered || f.Node != addrOf(y)-heap.Addr(b.head) {
		t.Errorf("finding %+v", f)
	}
	if s := b.Stats(); s.Quarantined != uint64(b.head+96) || s.UsedNodes != 3 {
		t.Errorf("stats %+v", s)
	}
	b.sound()
	for _, p := range []unsafe.Pointer{w, x, z} {
		if err := b.Free(p); err != nil {
			t.Error(err)
		}
	}
	b.alloc(30_000)
	b.sound()
}

// Without backup a damaged header cannot be restored, but it is told, and the
// rest of the pool goes on.
func TestDamageWithoutBackup(t *testing.T) {
	for _, cfg := range []heapwright.Config{{}, {LeakCheck: true}} {
		b := newBed(t, cfg)
		x, y, z := b.three(96)
		b.stomp(x, 96, b.head, 0x41)
		if err := b.Free(y); !errors.Is(err, heapwright.ErrDamaged) {
			t.Errorf("free: %v", err)
		}
		if f := b.findings[0]; f.Kind != heap.HeaderDamaged || f.Recovered || f.Culprit == nil || f.Culprit.Payload != addrOf(x) {
			t.Errorf("finding %s", f.Summary())
		}
		for _, p := range []unsafe.Pointer{x, z} {
			if err := b.Free(p); err != nil {
				t.Error(err)
			}
		}
		b.sound()
	}
}

// A stomp over several nodes names who started it, not the victims in between.
func TestDoubleStompNamesTheCulprit(t *testing.T) {
	b := newBed(t, both)
	x, y, z := b.three(32)
	last := b.alloc(32)
	b.stomp(x, 32, 2*(b.head+32), 'A')
	b.Free(last)
	found := 0
	for _, f := range b.findings {
		if f.Kind.WildPointer() {
			continue
		}
		found++
		if f.Culprit == nil || f.Culprit.Payload != addrOf(x) {
			t.Errorf("culprit %+v of %s", f.Culprit, f.Summary())
		}
	}
	if found != 2 {
		t.Errorf("%d findings about damage, want 2 (nodes at %p and %p)", found, y, z)
	}
	b.sound()
}

func TestWriteAfterFree(t *testing.T) {
	b := newBed(t, both)
	x, y, _ := b.three(3008)
	b.Free(y)
	b.stomp(y, 0, 64, 'W')
	b.Free(x)
	if f := b.only(heap.FreeDamaged); f.Culprit == nil || f.Culprit.Payload != addrOf(y) || len(f.Culprit.Stack) == 0 {
		t.Errorf("finding %+v", f)
	}
	b.sound()
}

func TestPoolHeadRestored(t *testing.T) {
	skipDamage(t)
	b := newBed(t, both)
	x := b.alloc(10)
	clear(b.region[:64])
	b.Free(unsafe.Add(x, 1))
	if b.findings[0].Kind != heap.PoolHeadDamaged {
		t.Errorf("finding %s", b.findings[0].Summary())
	}
	b.sound()
}

func TestIntegrityCheckBeforeAllocation(t *testing.T) {
	cfg := both
	cfg.IntegrityCheck = true
	b := newBed(t, cfg)
	x, _, _ := b.three(96)
	for range 20 {
		b.alloc(96)
	}
	b.stomp(x, 96, b.head, 'A')
	b.alloc(500)
	b.only(heap.HeaderDamaged)
	b.sound()
}

func TestPanicPolicy(t *testing.T) {
	p, err := heapwright.New(heapwright.Config{Region: make([]byte, 4096), Policy: heapwright.Panic, OnFinding: func(heap.Finding) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer func() {
		if f, ok := recover().(heap.Finding); !ok || f.Kind != heap.NilPointer {
			t.Errorf("recovered %+v", f)
		}
		if ptr, err := p.Alloc(10); err != nil || p.Free(ptr) != nil {
			t.Errorf("the pool is unusable after a panic: %v", err)
		}
	}()
	p.Free(nil)
	t.Error("no panic")
}

// Whatever is overwritten, wherever: no crash, no hang, damage to control
// headers is reported, and nodes that were not touched keep their contents and
// can be freed.
func TestRandomDamage(t *testing.T) {
	skipDamage(t)
	rapid.Check(t, func(t *rapid.T) {
		cfg := heapwright.Config{LeakCheck: rapid.Bool().Draw(t, "leak check"), HeadBackup: rapid.Bool().Draw(t, "head backup")}
		region := make([]byte, 32<<10)
		cfg.Region = region
		found := 0
		cfg.OnFinding = func(heap.Finding) { found++ }
		p, err := heapwright.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		h, _ := p.HeadBytes()
		head := int(h)

		type live struct {
			b    []byte
			fill byte
			hit  bool
		}
		var nodes []live
		for i := range rapid.IntRange(1, 60).Draw(t, "nodes") {
			b, err := p.AllocBytes(rapid.IntRange(1, 700).Draw(t, "size"))
			if err != nil {
				break
			}
			fill := byte(i + 1)
			copy(b, bytes.Repeat([]byte{fill}, len(b)))
			nodes = append(nodes, live{b, fill, false})
		}
		for i := 0; i < len(nodes); i++ {
			if rapid.IntRange(0, 3).Draw(t, "free") == 0 {
				if err := p.FreeBytes(nodes[i].b); err != nil {
					t.Fatal(err)
				}
				nodes = append(nodes[:i], nodes[i+1:]...)
			}
		}

		before := bytes.Clone(region)
		for range rapid.IntRange(1, 3).Draw(t, "stomps") {
			at := rapid.IntRange(0, len(region)-1).Draw(t, "at")
			n := min(rapid.IntRange(1, 200).Draw(t, "length"), len(region)-at)
			switch rapid.IntRange(0, 3).Draw(t, "pattern") {
			case 0:
				clear(region[at : at+n])
			case 1:
				copy(region[at:], bytes.Repeat([]byte{0xff}, n))
			case 2:
				copy(region[at:], rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes"))
			case 3: // a piece of the pool itself, as a misplaced copy would leave
				from := rapid.IntRange(0, len(region)-n).Draw(t, "from")
				copy(region[at:at+n], before[from:])
			}
		}
		start := uintptr(unsafe.Pointer(unsafe.SliceData(region)))
		control := false
		for i := range nodes {
			at := int(uintptr(unsafe.Pointer(unsafe.SliceData(nodes[i].b))) - start)
			if !bytes.Equal(region[at-head:at], before[at-head:at]) {
				nodes[i].hit, control = true, true
			}
			if !bytes.Equal(region[at:at+len(nodes[i].b)], before[at:at+len(nodes[i].b)]) {
				nodes[i].fill = 0
			}
		}

		if n, err := p.Check(nil); err != nil || control && n == 0 {
			t.Fatalf("damage to a control header was not found (%v)", err)
		}
		if _, err := p.Snapshot(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			p.Alloc(rapid.IntRange(1, 500).Draw(t, "size after"))
		}
		for i := range nodes {
			if nodes[i].fill != 0 && bytes.Count(nodes[i].b, []byte{nodes[i].fill}) != len(nodes[i].b) {
				t.Fatalf("contents of an untouched node changed")
			}
			err := p.FreeBytes(nodes[i].b)
			if err == nil || nodes[i].hit || errors.Is(err, heapwright.ErrDamaged) && control {
				continue
			}
			t.Fatalf("an untouched node cannot be freed: %v", err)
		}
		if control && found == 0 {
			t.Fatal("damage to a control header was not reported")
		}
		// Damage that no operation met is still there; a wild pointer has the
		// whole pool examined.
		p.Free(unsafe.Pointer(unsafe.SliceData(region[1025:])))
		if n, err := p.Check(func(f heap.Finding) { t.Errorf("after repair: %s", f.Summary()) }); n != 0 || err != nil {
			t.Fatalf("the pool was not repaired: %d findings, %v", n, err)
		}
	})
}

// skipQuadratic skips a test with too many nodes to examine them all after each
// of as many operations.
func skipQuadratic(t testing.TB) {
	if heapwright.Invariants {
		t.Skip("too many nodes")
	}
}

// Damage that only the neighbours of the node in use show.
func TestNeighboursAreLookedAt(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(b *bed, x, y, z unsafe.Pointer)
		touch  func(b *bed, y unsafe.Pointer)
	}{
		"the end of the header in front, then free": {
			func(b *bed, x, y, z unsafe.Pointer) { b.stomp(x, -4, 4, 0x77) },
			func(b *bed, y unsafe.Pointer) { b.Free(y) },
		},
		"the size in the header in front, then alloc": {
			func(b *bed, x, y, z unsafe.Pointer) { b.Free(y); b.stomp(x, -b.head/2, 4, 0x77) },
			func(b *bed, y unsafe.Pointer) {
				if b.alloc(96) != y {
					b.Fatal("another node was taken")
				}
			},
		},
		"the header behind, then alloc": {
			func(b *bed, x, y, z unsafe.Pointer) { b.Free(y); b.stomp(z, -b.head/2, 4, 0x77) },
			func(b *bed, y unsafe.Pointer) {
				if b.alloc(96) != y {
					b.Fatal("another node was taken")
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, both)
			x, y, z := b.three(96)
			c.damage(b, x, y, z)
			c.touch(b, y)
			b.only(heap.HeaderDamaged)
			b.sound()
		})
	}
}

func TestWriteAfterFreeNoticedByAlloc(t *testing.T) {
	b := newBed(t, both)
	x, _, _ := b.three(3008)
	b.Free(x)
	b.stomp(x, 0, 8, 'W')
	b.alloc(3000)
	b.only(heap.FreeDamaged)
	b.sound()
}

// Headers of nodes that are no more lie inside those that took their place. They
// must not be mistaken for nodes when a header in front of them is lost.
func TestFormerHeadersAreNoNodes(t *testing.T) {
	for name, free := range map[string]func(b *bed, x, y, z unsafe.Pointer){
		"forwards":  func(b *bed, x, y, z unsafe.Pointer) { b.Free(x); b.Free(y); b.Free(z) },
		"backwards": func(b *bed, x, y, z unsafe.Pointer) { b.Free(z); b.Free(y); b.Free(x) },
		"inwards":   func(b *bed, x, y, z unsafe.Pointer) { b.Free(x); b.Free(z); b.Free(y) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, heapwright.Config{LeakCheck: true})
			x, y, z := b.three(3008)
			guard := b.alloc(16)
			free(b, x, y, z)
			const n = 3*3008 + 64
			if b.alloc(n) != x {
				t.Fatal("x, y and z were not coalesced")
			}
			b.stomp(x, -b.head, b.head, 0)
			if err := b.Free(guard); err != nil {
				t.Fatal(err)
			}
			b.Free(unsafe.Add(x, 3)) // has everything examined
			if s := b.Stats(); s.Quarantined != uint64(b.head+n) {
				t.Errorf("%d bytes are quarantined, want %d", s.Quarantined, b.head+n)
			}
			b.sound()
		})
	}
}

// Without backups two lost nodes become one, and the node behind them is told
// so.
func TestDoubleStompWithoutBackup(t *testing.T) {
	b := newBed(t, heapwright.Config{LeakCheck: true})
	x, y, _ := b.three(3008)
	last := b.alloc(3008)
	b.stomp(x, 3008, 2*(b.head+3008), 'A')
	b.Free(y)
	if err := b.Free(last); err != nil {
		t.Error(err)
	}
	if err := b.Free(x); err != nil {
		t.Error(err)
	}
	if s := b.Stats(); s.Quarantined != uint64(2*(b.head+3008)) || s.UsedNodes != 0 {
		t.Errorf("stats %+v", s)
	}
	b.sound()
}
