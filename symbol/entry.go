package symbol

// value is what an attribute holds.
type value struct {
	num  uint64 // number, address, offset or index
	str  string // of formString
	form uint16 // after indirection
}

// value reads the value of one attribute.
func (d *dwarfData) value(u *unit, c *cursor, s attrSpec) value {
	form := s.form
	if form == formIndirect {
		form = clamp(c.uleb())
	}
	v := value{form: form}
	switch form {
	case formImplicitConst:
		v.num = uint64(s.implicit)
	case formFlagPresent:
		v.num = 1
	case formString:
		v.str = c.cstring()
	case formUdata, formRefUdata, formStrx, formAddrx, formRnglistx, formLoclistx, formGNUAddrIndex, formGNUStrIndex:
		v.num = c.uleb()
	case formSdata:
		v.num = uint64(c.sleb())
	default:
		if n := formSize(form, u.layout); n > 0 && n <= 8 {
			v.num = c.uint(n)
		} else {
			skipForm(c, form, u.layout)
		}
	}
	return v
}

// address returns the address that v is.
func (d *dwarfData) address(u *unit, v value) (uint64, bool) {
	switch v.form {
	case formAddr:
		return v.num, true
	case formAddrx, formAddrx1, formAddrx2, formAddrx3, formAddrx4, formGNUAddrIndex:
		return d.indexed(u, v.num)
	}
	return 0, false
}

// indexed returns entry i of the unit's table of addresses.
func (d *dwarfData) indexed(u *unit, i uint64) (uint64, bool) {
	return d.slot(d.addr, u.addrBase, i, int(u.asize))
}

// slot reads entry i, of n bytes, in a table that starts at base.
func (d *dwarfData) slot(section string, base, i uint64, n int) (uint64, bool) {
	size := uint64(len(section))
	if base > size || i >= (size-base)/uint64(n) {
		return 0, false
	}
	c := cursor{data: section, pos: int(base + i*uint64(n)), big: d.big}
	return c.uint(n), true
}

// stringOf returns the string that v is, "" if it is none that can be read.
func (d *dwarfData) stringOf(u *unit, v value) (s string) {
	switch v.form {
	case formString:
		s = v.str
	case formStrp:
		s, _ = stringAt(d.str, v.num)
	case formLineStrp:
		s, _ = stringAt(d.lineStr, v.num)
	case formStrx, formStrx1, formStrx2, formStrx3, formStrx4, formGNUStrIndex:
		n := 4
		if u.wide {
			n = 8
		}
		if off, ok := d.slot(d.strOffsets, u.strBase, v.num, n); ok {
			s, _ = stringAt(d.str, off)
		}
	}
	return s
}

// reference returns the offset in info of the entry that v refers to.
func (d *dwarfData) reference(u *unit, v value) (uint64, bool) {
	switch v.form {
	case formRef1, formRef2, formRef4, formRef8, formRefUdata:
		return u.off + v.num, u.off+v.num < u.end
	case formRefAddr:
		return v.num, v.num < uint64(len(d.info))
	}
	return 0, false // in another file, or a type
}

// entry holds the attributes of one debugging information entry that matter
// here.
type entry struct {
	seen                uint32
	lowPC, highPC       uint64
	highRelative        bool // highPC is a length
	ranges              value
	stmtList            uint64
	callFile, callLine  uint64
	sibling             uint64
	name, linkage       value
	compDir             value
	origin, specifier   uint64 // offsets in info
	hasOrigin, hasSpecs bool
}

// Bits of seen.
const (
	sawLowPC = 1 << iota
	sawHighPC
	sawRanges
	sawStmtList
	sawName
	sawLinkage
)

func seenBit(attr uint16) uint32 {
	switch attr {
	case atLowPC:
		return sawLowPC
	case atHighPC:
		return sawHighPC
	case atRanges:
		return sawRanges
	case atStmtList:
		return sawStmtList
	case atName:
		return sawName
	case atLinkageName, atMIPSLinkageName:
		return sawLinkage
	}
	return 0
}

func (e *entry) has(attr uint16) bool { return e.seen&seenBit(attr) != 0 }

// attributes reads the attributes of an entry declared by a.
func (d *dwarfData) attributes(u *unit, c *cursor, a *abbrev) (e entry) {
	for _, s := range a.attrs {
		switch s.attr {
		case atLowPC, atHighPC, atRanges, atStmtList, atName, atLinkageName, atMIPSLinkageName, atSibling,
			atCompDir, atAbstractOrigin, atSpecification, atCallFile, atCallLine:
		default:
			skipForm(c, s.form, u.layout)
			continue
		}
		v := d.value(u, c, s)
		bit := seenBit(s.attr)
		switch s.attr {
		case atLowPC:
			var ok bool
			if e.lowPC, ok = d.address(u, v); !ok {
				bit = 0
			}
		case atHighPC:
			var ok bool
			if e.highPC, ok = d.address(u, v); !ok {
				e.highPC, e.highRelative = v.num, true
			}
		case atRanges:
			e.ranges = v
		case atStmtList:
			e.stmtList = v.num
		case atName:
			e.name = v
		case atLinkageName, atMIPSLinkageName:
			e.linkage = v
		case atCompDir:
			e.compDir = v
		case atSibling:
			e.sibling, _ = d.reference(u, v)
		case atAbstractOrigin:
			e.origin, e.hasOrigin = d.reference(u, v)
		case atSpecification:
			e.specifier, e.hasSpecs = d.reference(u, v)
		case atCallFile:
			e.callFile = v.num
		case atCallLine:
			e.callLine = v.num
		}
		e.seen |= bit
	}
	return e
}

// name returns the name of the function that e describes: the linkage name if
// there is one, since it says the namespace, else the plain one. Entries of
// inlined functions and of those defined outside their class refer to others
// for it.
func (d *dwarfData) name(u *unit, e *entry) string {
	plain := ""
	for range 16 { // references can go round in circles
		if e.has(atLinkageName) {
			if s := d.stringOf(u, e.linkage); s != "" {
				return s
			}
		}
		if plain == "" && e.has(atName) {
			plain = d.stringOf(u, e.name)
		}
		off := e.origin
		switch {
		case e.hasOrigin:
		case e.hasSpecs:
			off = e.specifier
		default:
			return plain
		}
		if u = d.unitAt(off); u == nil {
			return plain
		}
		table, err := d.abbrevs(abbrevKey{u.abbrev, u.layout})
		if err != nil {
			return plain
		}
		c := cursor{data: d.info[:u.end], pos: int(off), big: d.big}
		a := table.get(c.uleb())
		if a == nil {
			return plain
		}
		next := d.attributes(u, &c, a)
		e = &next
	}
	return plain
}

// functionName is name, remembered for entries that refer to others: an inlined
// function is often named by many.
func (d *dwarfData) functionName(u *unit, e *entry) string {
	if !e.hasOrigin || e.has(atName) || e.has(atLinkageName) {
		return d.name(u, e)
	}
	s, ok := d.names[e.origin]
	if !ok {
		s = d.name(u, e)
		d.names[e.origin] = s
	}
	return s
}
