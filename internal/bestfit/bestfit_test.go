package bestfit

import (
	"math"
	"math/bits"
	"testing"

	"pgregory.net/rapid"
)

var anySize = rapid.OneOf(
	rapid.Uint32Range(1, 2*Small),
	rapid.Uint32Range(1, 1<<14),
	rapid.SampledFrom([]uint32{1, Small - 1, Small, Small + 1, 255, 256, 257, 1 << 20, 1<<31 - 1, 1 << 31, math.MaxUint32}),
	rapid.Uint32Min(1),
)

// A Set against a map.
func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Set
		model := map[Slot][2]uint32{} // ref, size
		nextRef := uint32(0)
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				nextRef++
				size := anySize.Draw(t, "size")
				slot := s.Insert(nextRef, size)
				if _, ok := model[slot]; ok || slot == 0 {
					t.Fatalf("slot %d is taken", slot)
				}
				if *s.Dirty(slot) != 0 {
					t.Fatal("a new entry is dirty")
				}
				*s.Dirty(slot) = size
				model[slot] = [2]uint32{nextRef, size}
			},
			"remove": func(t *rapid.T) {
				for slot, n := range model {
					if !s.Holds(slot, n[0], n[1]) || *s.Dirty(slot) != n[1] {
						t.Fatalf("slot %d does not hold %v", slot, n)
					}
					s.Remove(slot)
					if s.Holds(slot, n[0], n[1]) || s.Find(n[0]) != 0 {
						t.Fatalf("slot %d still holds %v", slot, n)
					}
					delete(model, slot)
					return
				}
			},
			"best": func(t *rapid.T) {
				want := anySize.Draw(t, "size")
				best := uint32(0)
				for _, n := range model {
					if n[1] >= want && (best == 0 || n[1] < best) {
						best = n[1]
					}
				}
				slot, size := s.Best(want)
				if size != best || (slot == 0) != (best == 0) {
					t.Fatalf("best fit of %d is %d, want %d", want, size, best)
				}
				if slot != 0 && model[slot][1] != size {
					t.Fatalf("slot %d is no node of size %d", slot, size)
				}
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 20).Draw(t, "really") == 0 {
					s.Reset()
					clear(model)
				}
			},
			"": func(t *rapid.T) {
				most := uint32(0)
				for slot, n := range model {
					most = max(most, n[1])
					if s.Find(n[0]) != slot {
						t.Fatalf("ref %d is not found", n[0])
					}
				}
				if s.Len() != len(model) || s.Largest() != most {
					t.Fatalf("%d nodes up to %d, want %d up to %d", s.Len(), s.Largest(), len(model), most)
				}
				for _, least := range []uint32{1, 100, Small, 5000} {
					seen := map[Slot]bool{}
					s.Each(least, func(slot Slot) bool {
						if seen[slot] || model[slot][1] < least {
							t.Fatalf("Each(%d) visits slot %d, %v", least, slot, model[slot])
						}
						seen[slot] = true
						return true
					})
					for slot, n := range model {
						if n[1] >= least && !seen[slot] {
							t.Fatalf("Each(%d) leaves out %v", least, n)
						}
					}
				}
				checkTries(t, &s)
			},
		})
	})
}

// checkTries checks what bounds the time of a search: the depth of a node in
// its trie and its place on the path of its size.
func checkTries(t *rapid.T, s *Set) {
	for b, root := range s.roots {
		if (root != 0) != (s.trieMap>>b&1 != 0) {
			t.Fatalf("trie map and root %d disagree", b)
		}
		var walk func(i, up Slot, depth int)
		walk = func(i, up Slot, depth int) {
			e := s.entries[i]
			if e.parent != up || !e.inTrie || bits.Len32(e.size) != b || depth >= b {
				t.Fatalf("entry %d at depth %d of trie %d: %+v", i, depth, b, e)
			}
			for way, c := range e.child {
				if c == 0 {
					continue
				}
				if path(s.entries[c].size)<<depth>>31 != uint32(way) {
					t.Fatalf("size %#x is on the wrong side at depth %d", s.entries[c].size, depth)
				}
				walk(c, i, depth+1)
			}
		}
		if root != 0 {
			walk(root, 0, 0)
		}
	}
}

// A Quick against a slice for each size.
func TestQuick(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Quick
		model := map[uint32][]uint32{}
		nextRef := uint32(0)
		size := rapid.OneOf(rapid.Uint32Range(1, 5), rapid.Uint32Range(1, Small-1))
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				n := size.Draw(t, "size")
				full := len(model[n]) == Depth
				nextRef++
				if q.Full(n) != full {
					t.Fatalf("with %d nodes of size %d, full is %v", len(model[n]), n, q.Full(n))
				}
				if !full {
					q.Push(nextRef, n)
					model[n] = append(model[n], nextRef)
				}
			},
			"pop": func(t *rapid.T) {
				n := size.Draw(t, "size")
				top := q.Top(n)
				if len(model[n]) == 0 {
					if top != 0 {
						t.Fatalf("top of nothing is %d", top)
					}
					return
				}
				last := len(model[n]) - 1
				if top != model[n][last] {
					t.Fatalf("top is %d, want %d", top, model[n][last])
				}
				q.Pop(n)
				model[n] = model[n][:last]
			},
			"remove": func(t *rapid.T) {
				for n, refs := range model {
					if len(refs) == 0 {
						continue
					}
					i := rapid.IntRange(0, len(refs)-1).Draw(t, "which")
					ref := refs[i]
					if q.Find(ref) != n || !q.Has(ref, n) || q.Has(ref, n+1) || !q.Remove(ref, n) || q.Remove(ref, n) {
						t.Fatalf("ref %d of size %d", ref, n)
					}
					model[n] = append(append([]uint32{}, refs[:i]...), refs[i+1:]...)
					return
				}
			},
			"": func(t *rapid.T) {
				total, most := 0, uint32(0)
				for n, refs := range model {
					total += len(refs)
					if len(refs) > 0 {
						most = max(most, n)
					}
				}
				if q.Len() != total || q.Empty() != (total == 0) || q.Largest() != most {
					t.Fatalf("%d nodes up to %d, want %d up to %d", q.Len(), q.Largest(), total, most)
				}
				want := uint32(0)
				for n := uint32(Small + 3); n > 0; n-- {
					if len(model[n]) > 0 {
						want = n
					}
					if q.Best(n) != want {
						t.Fatalf("best of %d is %d, want %d", n, q.Best(n), want)
					}
				}
				if ref, n := q.Any(); (n == 0) != (total == 0) || n != 0 && q.Find(ref) != n {
					t.Fatalf("any is %d of size %d", ref, n)
				}
			},
		})
		q.Reset()
		if q.Len() != 0 || q.Best(0) != 0 {
			t.Fatal("not empty after Reset")
		}
	})
}
