package symbol

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

const (
	// maxFields bounds the fields of a structure, members of members included.
	maxFields = 4096
	// maxFieldNames bounds the names of all fields of a structure in bytes.
	maxFieldNames = 1 << 20
	// maxTypeDepth bounds how deep structures nest, and how long a chain of
	// typedefs is.
	maxTypeDepth = 64
	// maxTypeWork bounds the entries that are read for one structure.
	maxTypeWork = 1 << 16
	// maxRefused bounds the structures of which Partial tells why they were
	// not used.
	maxRefused = 8
)

// Struct implements heap.Program. It knows structures, classes and unions that
// are defined outside of functions and namespaces, and typedefs of them. A
// structure goes before a typedef of the same name; a mere declaration is no
// definition, and a typedef of one is what another unit defines under that
// name. Where units define structures of the same name with different sizes it
// cannot be known which is meant: there is none then, and Partial says so.
//
// A field that is an array has the size of all its elements, a flexible one 0;
// its elements are not listed. A bit field is at the bytes that hold its bits.
// Static members, and bases of C++ classes whose place is computed when the
// program runs, are left out; the members of other bases are listed like those
// of nameless structures.
//
// The first call reads the names of all types, once; they take about a hundred
// bytes each. Only ELF files with debug information know structures.
func (t *Table) Struct(name string) (heap.Struct, bool) {
	if t.debug == nil || name == "" {
		return heap.Struct{}, false
	}
	return t.debug.structure(name)
}

// structure returns the structure of that name.
func (d *dwarfData) structure(name string) (s heap.Struct, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			s, ok = heap.Struct{}, false
			d.refuse("the structure %q: damaged: %v", name, p)
		}
	}()
	named, ok := d.typeNames().names[name]
	if !ok {
		return heap.Struct{}, false
	}
	off := uint64(named.structure)
	switch {
	case off == 0:
		off = uint64(named.alias)
	case named.clash:
		d.refuse("the structure %q has different sizes in different compilation units", name)
		return heap.Struct{}, false
	}
	r := typeReader{dwarfData: d}
	e, u, ok := r.whole(off)
	if !ok {
		return heap.Struct{}, false // a typedef of something else
	}
	s = heap.Struct{Name: name, Size: e.size}
	r.size = e.size
	if e.size > maxStruct || !r.members(u, &e, "", 0, 0) {
		d.refuse("the structure %q: damaged or larger than can be true", name)
		return heap.Struct{}, false
	}
	// Stable: what holds others stays in front of them.
	slices.SortStableFunc(r.fields, func(a, b heap.StructField) int { return cmp.Compare(a.Offset, b.Offset) })
	s.Fields = r.fields
	return s, true
}

// refuse notes why a structure is not used. d.mu is held.
func (d *dwarfData) refuse(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	if len(d.refused) < maxRefused && !slices.Contains(d.refused, why) {
		d.refused = append(d.refused, why)
	}
}

// typeReader reads one structure.
type typeReader struct {
	*dwarfData
	fields []heap.StructField
	size   uint64 // of the structure
	names  int    // bytes of all fields' names
	work   int    // entries read
}

// entry reads the entry at off.
func (r *typeReader) entry(off uint64) (e typeEntry, u *unit, ok bool) {
	if u = r.unitAt(off); u == nil {
		return e, nil, false
	}
	c := cursor{data: r.info[:u.end], pos: int(off), big: r.big}
	e, ok = r.read(u, &c)
	return e, u, ok
}

// read reads the entry that c is at; one of tag 0 ends the children of another.
func (r *typeReader) read(u *unit, c *cursor) (e typeEntry, ok bool) {
	r.work++
	table, err := r.abbrevs(abbrevKey{u.abbrev, u.layout})
	if err != nil || r.work > maxTypeWork {
		return e, false
	}
	code := c.uleb()
	if code == 0 {
		return e, !c.bad
	}
	a := table.get(code)
	if a == nil {
		return e, false
	}
	e = r.typeEntry(u, c, a)
	return e, !c.bad
}

// whole follows typedefs and qualifiers from off to the definition of a
// structure, class or union.
func (r *typeReader) whole(off uint64) (e typeEntry, u *unit, ok bool) {
	for range maxTypeDepth {
		if e, u, ok = r.entry(off); !ok {
			return e, u, false
		}
		switch e.tag {
		case tagStructureType, tagClassType, tagUnionType:
			if !e.declaration && e.hasSize {
				return e, u, true
			}
			if !e.hasRef {
				named := r.types.names[r.stringOf(u, e.name)]
				if named.structure == 0 || named.clash || uint64(named.structure) == off {
					return e, u, false
				}
				off = uint64(named.structure)
				continue
			}
		case tagTypedef, tagConstType, tagVolatileType, tagRestrictType, tagAtomicType:
		default:
			return e, u, false
		}
		if !e.hasRef {
			return e, u, false
		}
		off = e.ref
	}
	return e, u, false
}

// sizeOf returns the size of the type at off in bytes.
func (r *typeReader) sizeOf(off uint64) (uint64, bool) {
	count := uint64(1) // of elements, where it is the type of an array's
	for range maxTypeDepth {
		e, u, ok := r.entry(off)
		if !ok {
			return 0, false
		}
		switch {
		case e.hasSize && !e.declaration:
			return product(e.size, count)
		case e.tag == tagPointerType || e.tag == tagReferenceType || e.tag == tagRvalueReferenceType:
			return product(uint64(u.asize), count)
		case e.tag == tagArrayType:
			n, ok := r.elements(u, &e)
			if ok {
				n, ok = product(n, count)
			}
			if !ok {
				return 0, false
			}
			count = n
		case e.tag == tagStructureType || e.tag == tagClassType || e.tag == tagUnionType:
			if e, _, ok = r.whole(off); !ok {
				return 0, false
			}
			return product(e.size, count)
		}
		if !e.hasRef || e.tag == tagPointerToMember { // of the latter compilers decide
			return 0, false
		}
		off = e.ref
	}
	return 0, false
}

// elements returns how many elements an array has, in all its dimensions.
func (r *typeReader) elements(u *unit, e *typeEntry) (n uint64, ok bool) {
	if !e.children {
		return 0, true
	}
	c := cursor{data: r.info[:u.end], pos: int(e.next), big: r.big}
	for n = 1; ; {
		child, ok := r.read(u, &c)
		if !ok || child.tag == 0 {
			return n, ok
		}
		if child.tag != tagSubrangeType {
			continue
		}
		if !child.hasCount {
			child.count = 0
		}
		if n, ok = product(n, child.count); !ok {
			return 0, false
		}
	}
}

// maxStruct is more bytes than a structure has on any machine.
const maxStruct = 1 << 48

func product(a, b uint64) (uint64, bool) {
	if a > maxStruct || b > maxStruct || a != 0 && b > maxStruct/a {
		return 0, false
	}
	return a * b, true
}

// members appends the members of the structure that e describes, which lies at
// base and whose members' names begin with prefix.
func (r *typeReader) members(u *unit, e *typeEntry, prefix string, base uint64, depth int) bool {
	if !e.children {
		return true
	}
	if depth > maxTypeDepth {
		return false
	}
	c := cursor{data: r.info[:u.end], pos: int(e.next), big: r.big}
	for level := 0; ; {
		m, ok := r.read(u, &c)
		if !ok {
			return false
		}
		if m.tag == 0 {
			if level == 0 {
				return true
			}
			level--
			continue
		}
		if level == 0 && (m.tag == tagMember || m.tag == tagInheritance) && !r.member(u, &m, prefix, base, depth) {
			return false
		}
		switch {
		case !m.children:
		case m.sibling > uint64(c.pos):
			c.pos = int(m.sibling)
		default:
			level++
		}
	}
}

// member appends one member, and the members of it.
func (r *typeReader) member(u *unit, m *typeEntry, prefix string, base uint64, depth int) bool {
	if m.moving || m.declaration || !m.hasRef {
		return true
	}
	if m.tag == tagInheritance && !m.hasLocation {
		return true
	}
	size, ok := r.sizeOf(m.ref)
	if !ok {
		return true // a type that only other files define
	}
	at := m.location
	if m.bitSize > 0 {
		if at, size, ok = r.bits(m, size); !ok {
			return false
		}
	}
	if base += at; base < at || base > r.size || size > r.size-base {
		return false
	}
	name := r.stringOf(u, m.name)
	if m.tag == tagInheritance {
		name = ""
	}
	if name != "" {
		r.names += len(prefix) + len(name) + 1
		if r.names > maxFieldNames || len(r.fields) == maxFields {
			return false
		}
		name = prefix + name
		r.fields = append(r.fields, heap.StructField{Name: name, Offset: base, Size: size})
		prefix = name + "."
	}
	if m.bitSize > 0 {
		return true
	}
	inner, in, ok := r.whole(m.ref)
	return !ok || r.members(in, &inner, prefix, base, depth+1)
}

// bits returns the bytes that hold a bit field, from the start of the structure
// that it is in. size is that of its type.
func (r *typeReader) bits(m *typeEntry, size uint64) (at, n uint64, ok bool) {
	if size > maxStruct || m.bitSize > 8*size || m.location > maxStruct || m.bitOffset > 8*maxStruct || m.bitFromTop > 8*size {
		return 0, 0, false
	}
	first := 8 * m.location
	switch {
	case m.hasBitOffset:
		first += m.bitOffset
	case m.hasBitFromTop && r.big:
		first += m.bitFromTop
	case m.hasBitFromTop: // from the most significant bit of what holds it
		if m.hasSize {
			size = min(m.size, maxStruct)
		}
		if m.bitFromTop+m.bitSize > 8*size {
			return 0, 0, false
		}
		first += 8*size - m.bitFromTop - m.bitSize
	}
	end := first + m.bitSize
	return first / 8, (end+7)/8 - first/8, true
}
