package survey

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// build lays nodes of random lengths out in a region.
func build(r *rand.Rand, lay *node.Layout, nodes int) *Region {
	sizes := []uint32{lay.HeadU}
	end := Front + lay.HeadU
	for range nodes {
		n := lay.MinU + r.Uint32N(20)
		sizes = append(sizes, n)
		end += n
	}
	sizes = append(sizes, lay.HeadU)
	words := make([]uint64, 2*(end+lay.HeadU))
	g := &Region{
		Base: unsafe.Pointer(&words[0]), Limit: end + lay.HeadU, End: end, Origin: 0x10000, Layout: lay,
		LR: func(v uint32) heap.Addr { return heap.Addr(v) },
	}
	at, prev := Front, uint32(0)
	for i, n := range sizes {
		state, owner := node.Used, uint16(i)
		switch {
		case i == 0 || at == end:
			state = node.Bound
		case r.IntN(3) == 0:
			state = node.Free
		}
		lay.Put(g.Base, at, end, node.Make(n, prev, state, owner, 0))
		at, prev = at+n, n
	}
	return g
}

type step struct {
	Ref, Size uint32
	Sound     bool
	Findings  int
}

// walk returns what a walk meets. glide says that sound nodes are taken fast.
func walk(g *Region, glide bool) (steps []step, whole bool) {
	x := g.Examiner()
	var sound func(ref uint32, h node.Header, c unsafe.Pointer) bool
	if glide {
		sound = func(ref uint32, h node.Header, _ unsafe.Pointer) bool {
			steps = append(steps, step{ref, h.Size(), true, 0})
			return true
		}
	}
	whole = g.Glide(sound, func(s, before, beforeThat *Seen) bool {
		n := 0
		if f := x.Next(s, before, beforeThat); f != nil {
			n++
			_ = f.Summary()
		}
		if before.Ref+before.Size != s.Ref && s.Ref != Front || beforeThat.Ref != 0 && beforeThat.Ref+beforeThat.Size != before.Ref {
			panic("not the nodes in front")
		}
		steps = append(steps, step{s.Ref, s.Size, s.Sound(), n})
		return true
	})
	return steps, whole
}

// The fast way meets the same nodes as the other, whatever was overwritten and
// however much of the pool is there, and no way reads more than that.
func TestGlide(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		lay := node.NewLayout(r.IntN(2) == 0, r.IntN(9), r.IntN(2) == 0, r.Uint64())
		g := build(r, &lay, 1+r.IntN(30))
		g.Blind = r.IntN(8) == 0
		b := g.Bytes(0, uint64(g.Limit)*node.Unit)
		for range r.IntN(4) {
			at := node.HeadSize + r.IntN(len(b)-node.HeadSize)
			n := min(1+r.IntN(80), len(b)-at)
			switch r.IntN(3) {
			case 0:
				clear(b[at : at+n])
			case 1:
				copy(b[at:at+n], bytes.Repeat([]byte{'A'}, n))
			case 2:
				copy(b[at:at+n], b[r.IntN(len(b)-n):])
			}
		}
		whole := r.IntN(3) > 0
		if !whole {
			g.Limit = max(r.Uint32N(g.Limit), Front)
			part := make([]uint64, 2*g.Limit)
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&part[0])), len(part)*8), b)
			g.Base = unsafe.Pointer(&part[0])
		}
		slow, got := walk(g, false)
		fast, _ := walk(g, true)
		if d := cmp.Diff(slow, fast); d != "" || got != whole {
			t.Fatalf("%d: to the end: %v, want %v\n%s", i, got, whole, d)
		}
		for k := 1; k < len(slow); k++ {
			if slow[k].Ref != slow[k-1].Ref+slow[k-1].Size {
				t.Fatalf("%d: %v", i, slow)
			}
		}
	}
}

// A pool without damage has no findings, and every node is sound.
func TestSound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		lay := node.NewLayout(r.IntN(2) == 0, r.IntN(9), r.IntN(2) == 0, r.Uint64())
		n := 1 + r.IntN(30)
		g := build(r, &lay, n)
		steps, whole := walk(g, false)
		for _, s := range steps {
			if !s.Sound || s.Findings > 0 {
				t.Errorf("%+v", s)
			}
		}
		if !whole || len(steps) != n+2 {
			t.Errorf("%d steps for %d nodes", len(steps), n)
		}
	}
}
