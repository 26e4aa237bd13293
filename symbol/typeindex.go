package symbol

import "fmt"

// maxTypes bounds the names of types that are indexed; a Linux kernel with all
// its drivers has about a hundred thousand.
const maxTypes = 1 << 19

// typeIndex finds types by their names. It is made when the first type is asked
// for, in one pass over the entries directly below the roots of all units; what
// the types consist of is read when they are asked for.
type typeIndex struct {
	names map[string]namedType
	full  bool // there are more than maxTypes of them
}

// A namedType is what has a name. C has two name spaces: a structure and a
// typedef may share one. Offsets are in info, 0: there is none.
type namedType struct {
	structure uint32 // the first definition
	size      uint32 // of it, cut to 32 bits
	alias     uint32 // the first typedef
	clash     bool   // another definition has another size
}

// typeEntry holds the attributes of an entry that describes a type, a member or
// the bounds of an array.
type typeEntry struct {
	tag      uint16
	children bool
	next     uint64 // offset in info of what follows the attributes
	sibling  uint64 // offset in info; 0: not told
	name     value
	ref      uint64 // the type that it is made of, an offset in info
	hasRef   bool
	size     uint64 // in bytes
	hasSize  bool
	// location is where a member lies, moving that it is computed when the
	// program runs.
	location      uint64
	hasLocation   bool
	moving        bool
	bitSize       uint64
	bitFromTop    uint64 // DW_AT_bit_offset of DWARF 2 and 3
	hasBitFromTop bool
	bitOffset     uint64 // DW_AT_data_bit_offset
	hasBitOffset  bool
	declaration   bool
	count         uint64 // of an array's elements
	hasCount      bool
}

// typeEntry reads the attributes of an entry declared by a.
func (d *dwarfData) typeEntry(u *unit, c *cursor, a *abbrev) typeEntry {
	e := typeEntry{tag: a.tag, children: a.children}
	for _, s := range a.attrs {
		switch s.attr {
		case atDataMemberLocation:
			d.memberLocation(u, c, s, &e)
			continue
		case atName, atSibling, atType, atSignature, atByteSize, atBitSize, atBitOffset, atDataBitOffset, atDeclaration, atCount, atUpperBound:
		default:
			skipForm(c, s.form, u.layout)
			continue
		}
		v := d.value(u, c, s)
		switch s.attr {
		case atName:
			e.name = v
		case atSibling:
			e.sibling, _ = d.reference(u, v)
		case atType, atSignature: // of a declaration, the type in a unit of its own
			e.ref, e.hasRef = d.typeReference(u, v)
		case atDeclaration:
			e.declaration = v.num != 0
		default:
			if !isConstant(v.form) {
				continue // computed when the program runs
			}
			switch s.attr {
			case atByteSize:
				e.size, e.hasSize = v.num, true
			case atBitSize:
				e.bitSize = v.num
			case atBitOffset:
				e.bitFromTop, e.hasBitFromTop = v.num, true
			case atDataBitOffset:
				e.bitOffset, e.hasBitOffset = v.num, true
			case atCount:
				e.count, e.hasCount = v.num, true
			case atUpperBound:
				e.count, e.hasCount = v.num+1, true // -1: none
			}
		}
	}
	e.next = uint64(c.pos)
	return e
}

// memberLocation reads DW_AT_data_member_location: a number, or a block of
// operations of which compilers before DWARF 3 use one, DW_OP_plus_uconst.
func (d *dwarfData) memberLocation(u *unit, c *cursor, s attrSpec, e *typeEntry) {
	n := uint64(0)
	switch s.form {
	case formBlock1:
		n = uint64(c.u8())
	case formBlock2:
		n = uint64(c.u16())
	case formBlock4:
		n = uint64(c.u32())
	case formBlock, formExprloc:
		n = c.uleb()
	default:
		v := d.value(u, c, s)
		e.location, e.hasLocation, e.moving = v.num, true, !isConstant(v.form)
		return
	}
	end := uint64(c.pos) + n
	if n > uint64(c.left()) {
		c.fail()
		return
	}
	const plusConstant = 0x23
	e.moving = c.u8() != plusConstant
	if !e.moving {
		e.location = c.uleb()
		e.moving = uint64(c.pos) != end
	}
	e.hasLocation = true
	if !c.bad {
		c.pos = int(end)
	}
}

func isConstant(form uint16) bool {
	switch form {
	case formData1, formData2, formData4, formData8, formUdata, formSdata, formImplicitConst:
		return true
	}
	return false
}

// typeReference returns the offset in info of the type that v refers to.
func (d *dwarfData) typeReference(u *unit, v value) (uint64, bool) {
	if v.form == formRefSig8 {
		off, ok := d.signatures[v.num]
		return off, ok
	}
	return d.reference(u, v)
}

// typeNames returns the index. d.mu is held.
func (d *dwarfData) typeNames() *typeIndex {
	if d.types != nil {
		return d.types
	}
	d.types = &typeIndex{names: make(map[string]namedType)}
	for i := range d.units {
		u := &d.units[i]
		if !u.children {
			continue
		}
		if err := d.tryIndex(u); err != nil {
			d.damage(u.off, err)
		}
	}
	return d.types
}

// tryIndex is indexUnit that survives an error in it.
func (d *dwarfData) tryIndex(u *unit) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errUnit, p)
		}
	}()
	return d.indexUnit(u)
}

// indexUnit adds the types that the children of the root of u define.
func (d *dwarfData) indexUnit(u *unit) error {
	table, err := d.abbrevs(abbrevKey{u.abbrev, u.layout})
	if err != nil {
		return err
	}
	c := cursor{data: d.info[:u.end], pos: int(u.next), big: d.big}
	for depth := 1; depth > 0 && c.left() > 0; {
		off := uint64(c.pos)
		code := c.uleb()
		if code == 0 {
			depth--
			continue
		}
		a := table.get(code)
		if a == nil {
			return errUnit
		}
		sibling := uint64(0)
		if depth == 1 && (a.children || a.tag == tagTypedef) {
			e := d.typeEntry(u, &c, a)
			d.indexType(u, off, &e)
			sibling = e.sibling
		} else {
			d.skipEntry(u, &c, a)
		}
		if c.bad {
			return errUnit
		}
		switch {
		case !a.children:
		case sibling > uint64(c.pos):
			c.pos = int(sibling)
		default:
			depth++
		}
	}
	return nil
}

func (d *dwarfData) indexType(u *unit, off uint64, e *typeEntry) {
	structure := e.tag == tagStructureType || e.tag == tagClassType || e.tag == tagUnionType
	if !structure && e.tag != tagTypedef || e.declaration || structure && !e.hasSize {
		return
	}
	name := d.stringOf(u, e.name)
	if name == "" {
		return
	}
	t, ok := d.types.names[name]
	if !ok && len(d.types.names) >= maxTypes {
		d.types.full = true
		return
	}
	size := uint32(min(e.size, 1<<32-1))
	switch {
	case structure && t.structure == 0:
		t.structure, t.size = uint32(off), size
	case structure:
		t.clash = t.clash || t.size != size
	case t.alias == 0:
		t.alias = uint32(off)
	}
	d.types.names[name] = t
}
