package heapwright_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// Damage mixed with every kind of operation, in every configuration: memory is
// never handed out twice, no wild pointer is taken, and once everything has been
// examined the pool is sound and has lost nothing without saying so.
func TestDamageAmongOperations(t *testing.T) {
	skipDamage(t)
	region := make([]byte, 96<<10)
	for seed := range uint64(1500) {
		damageAmongOperations(t, seed, region)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func damageAmongOperations(t *testing.T, seed uint64, region []byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	cfg := heapwright.Config{
		Region:    region[r.IntN(40) : len(region)-r.IntN(40)],
		LeakCheck: r.IntN(2) == 0, HeadBackup: r.IntN(3) > 0, IntegrityCheck: r.IntN(6) == 0,
		RecordLR: []int{0, heapwright.None, 1, 4, 8, 32}[r.IntN(6)],
	}
	lost := false // something was withdrawn, and said so
	cfg.OnFinding = func(f heap.Finding) {
		lost = lost || !f.Recovered && !f.Kind.WildPointer()
		_ = f.Summary()
	}
	p := newPool(t, cfg)
	defer p.Close()
	headBytes, _ := p.HeadBytes()
	head := int(headBytes)
	var live [][]byte
	drop := func(i int) {
		live[i] = live[len(live)-1]
		live = live[:len(live)-1]
	}
	apart := func(b []byte, but int) {
		for i, l := range live {
			x, y := uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&l[0]))
			if i != but && x < y+uintptr(len(l)) && y < x+uintptr(len(b)) {
				t.Errorf("memory was handed out twice")
			}
		}
	}
	most := []int{60, 300, 3000, 9000}[r.IntN(4)]
	for range 120 {
		n, i := 1+r.IntN(most), 0
		if len(live) > 0 {
			i = r.IntN(len(live))
		}
		switch k := r.IntN(20); {
		case k < 7:
			o := heapwright.Options{Owner: heapwright.Owner(r.IntN(5)), Zero: r.IntN(4) == 0}
			if r.IntN(4) == 0 {
				o.Align = 8 << r.IntN(10)
			}
			if q, err := p.AllocWith(n, o); err == nil {
				b := unsafe.Slice((*byte)(q), n)
				apart(b, -1)
				live = append(live, b)
			}
		case len(live) == 0:
		case k < 12:
			if err := p.FreeBytes(live[i]); err != nil && !lost {
				t.Errorf("free: %v", err)
			}
			drop(i)
		case k < 15:
			b, err := p.ReallocBytes(live[i], n)
			if err == nil {
				apart(b, i)
				live[i] = b
			} else if errors.Is(err, heapwright.ErrWildPointer) {
				if !lost {
					t.Errorf("realloc: %v", err)
				}
				drop(i)
			}
		case k < 17: // an overflow, an underflow, or a stray write
			from := len(live[i])
			length := 1 + r.IntN(3*head+32)
			switch r.IntN(4) {
			case 0:
				length = 1 + r.IntN(16)
			case 1:
				length = 1 + r.IntN(head)
				from = -length
			case 2:
				from += r.IntN(2000)
			}
			at := int(uintptr(unsafe.Pointer(&live[i][0]))-uintptr(unsafe.Pointer(&cfg.Region[0]))) + from
			fill, random := []byte{0, 0xff, 'A', 1}[r.IntN(4)], r.IntN(3) == 0
			for ; length > 0 && at < len(cfg.Region); length-- {
				if random {
					fill = byte(r.Uint32())
				}
				cfg.Region[at] = fill
				at++
			}
		case k == 17:
			p.Check(nil)
			p.Snapshot()
		case k == 18:
			q := unsafe.Add(unsafe.Pointer(&live[i][0]), r.IntN(len(live[i])+2*head)-head)
			for _, l := range live {
				if unsafe.Pointer(&l[0]) == q {
					q = nil
				}
			}
			if err := p.Free(q); err == nil {
				t.Error("a wild pointer was freed")
			}
		default:
			p.ReleaseFree()
		}
	}
	wild := unsafe.Pointer(&cfg.Region[1000])
	if uintptr(wild)%16 == 0 {
		wild = unsafe.Add(wild, 1)
	}
	p.Free(wild) // has everything examined
	if n, err := p.Check(func(f heap.Finding) { t.Error(f.Summary()) }); n != 0 || err != nil {
		t.Errorf("not sound after repair: %v", err)
	}
	if s := p.Stats(); s.Used+s.Free != s.Size || s.Waterline < s.Used || s.Payload > s.Used {
		t.Errorf("stats %+v", s)
	}
	snap, _ := p.Snapshot()
	if !lost && len(snap.Nodes) != len(live) {
		t.Errorf("%d used nodes, want %d", len(snap.Nodes), len(live))
	}
}

// What Alloc splits a node off from, and the one behind that, are inspected
// before their links are rewritten.
func TestSplitDoesNotLaunder(t *testing.T) {
	for _, cfg := range []heapwright.Config{{}, {LeakCheck: true}, {HeadBackup: true}, both} {
		b := newBed(t, cfg)
		x, y, _ := b.three(4000)
		b.Free(x)
		b.stomp(y, -b.head+b.backup, 16, 'A')
		if b.backup > 0 { // and its backup alike
			b.stomp(x, -b.head, 16, 'A')
		}
		b.alloc(2100)
		if len(b.findings) == 0 || b.findings[0].Kind.WildPointer() {
			t.Errorf("%+v: the damage went unnoticed", cfg)
		}
		b.Free(y)
		b.sound()
	}
}

// An old header written back to its place does not take over its successors.
func TestStaleHeader(t *testing.T) {
	b := newBed(t, both)
	_, y, _ := b.three(8000)
	old := make([]byte, b.head)
	at := unsafe.Slice((*byte)(unsafe.Add(y, -b.head)), b.head)
	copy(old, at)
	b.Free(y)
	y1, y2 := b.alloc(2992), b.alloc(2992)
	if y1 != y {
		t.Fatal("y was not split")
	}
	skipDamage(t)
	copy(at[b.backup:], old[b.backup:])
	for _, q := range []unsafe.Pointer{y2, y1} {
		if err := b.Free(q); err != nil {
			t.Error(err)
		}
	}
	b.only(heap.HeaderDamaged)
	b.sound()
}

// Thousands of damaged headers cost time and memory in proportion.
func TestManyDamagedHeaders(t *testing.T) {
	skipDamage(t)
	p := newPool(t, heapwright.Config{HeadBackup: true, OnFinding: func(heap.Finding) {}})
	head, backup := p.HeadBytes()
	const n = 5000
	var all []unsafe.Pointer
	for range n {
		q, err := p.Alloc(64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, q)
	}
	for _, q := range all {
		*(*byte)(unsafe.Add(q, int(backup)-int(head))) ^= 1
	}
	longest := 0
	found, _ := p.Check(func(f heap.Finding) { longest = max(longest, len(f.CulpritReason)) })
	if found < n-10 || longest > 300 {
		t.Errorf("%d findings with reasons of up to %d bytes", found, longest)
	}
}

func TestGrowsOverAFreeEnd(t *testing.T) {
	p := newPool(t, heapwright.Config{MaxSize: 1 << 20})
	for range 3 {
		q, err := p.Alloc(1<<20 - 1000)
		if err != nil {
			t.Fatal(err)
		}
		p.Free(q)
	}
}

// Zeroing happens without the lock; Close waits for it.
func TestCloseDuringZeroing(t *testing.T) {
	for range 30 {
		p, err := heapwright.New(heapwright.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		started := make(chan bool)
		wg.Go(func() {
			close(started)
			for {
				if _, err := p.AllocZeroed(1 << 20); err != nil {
					return
				}
			}
		})
		<-started
		p.Close()
		wg.Wait()
	}
}

// A panicking policy leaves the caller what it had.
func TestPanicBeforeTheOperation(t *testing.T) {
	b := newBed(t, both)
	p, err := heapwright.New(heapwright.Config{
		Region: make([]byte, 64<<10), HeadBackup: true, Policy: heapwright.Panic, OnFinding: func(heap.Finding) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Pool = p
	head, _ := p.HeadBytes()
	x, _, _ := b.three(4000)
	b.stomp(x, 4000, int(head), 'A')
	used := p.Stats().UsedNodes
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		p.Realloc(x, 9000)
	}()
	if s := p.Stats(); s.UsedNodes != used {
		t.Errorf("%d used nodes, had %d", s.UsedNodes, used)
	}
	if err := p.Free(x); err != nil {
		t.Errorf("the old pointer is not valid any more: %v", err)
	}
}

func TestIntegrityCheckBeforeReallocInPlace(t *testing.T) {
	cfg := both
	cfg.IntegrityCheck = true
	b := newBed(t, cfg)
	x, _, z := b.three(3008)
	far := b.alloc(3008)
	b.stomp(far, -4, 4, 'A')
	if _, err := b.Realloc(x, 1000); err != nil {
		t.Fatal(err)
	}
	b.only(heap.HeaderDamaged)
	b.Free(z)
	b.sound()
}

// A file whose pool head is right and whose rest, or whose head's contents, is
// anything: Open ends, with an error or a pool that can be listed.
func TestOpenHostileFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pool")
	p := newPool(t, heapwright.Config{File: path, MaxSize: 16 << 10, LeakCheck: true, HeadBackup: true})
	for i := range 20 {
		p.Alloc(1 + i*13)
	}
	p.Close()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	mem := make([]uint64, len(good)/8)
	image := unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), len(good))
	for range 800 {
		copy(image, good)
		h := node.HeadAt(unsafe.Pointer(&mem[0]))
		info, err := h.Read()
		if err != nil {
			t.Fatal(err)
		}
		switch r.IntN(5) {
		case 0:
			info.LRs = r.IntN(33)
		case 1:
			info.Backup, info.Stacks = r.IntN(2) == 0, r.IntN(2) == 0
		case 2:
			info.End = uint32(r.IntN(1100))
		case 3:
			info.End = r.Uint32()
		}
		h.Write(info)
		for range r.IntN(4) {
			at := node.HeadSize + r.IntN(len(image)-node.HeadSize)
			for i := range min(1+r.IntN(300), len(image)-at) {
				image[at+i] = byte(r.Uint32() >> (r.IntN(2) * 8))
			}
		}
		size := len(image)
		if r.IntN(4) == 0 {
			size = r.IntN(len(image))
		}
		if err := os.WriteFile(path, image[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := heapwright.Open(path, heapwright.Config{OnFinding: func(heap.Finding) {}})
		if err != nil {
			continue
		}
		s, err := p.Snapshot()
		if err != nil {
			t.Error(err)
		}
		for _, n := range s.Nodes {
			if n.Size > n.Total {
				t.Errorf("node %+v", n)
			}
		}
		p.Close()
	}
}
