package symbol

import (
	"errors"
	"slices"
)

// The tags, attributes and forms that matter here, as DWARF 5 numbers them in
// section 7.5.
const (
	tagArrayType           = 0x01
	tagClassType           = 0x02
	tagEnumerationType     = 0x04
	tagMember              = 0x0d
	tagPointerType         = 0x0f
	tagReferenceType       = 0x10
	tagCompileUnit         = 0x11
	tagStructureType       = 0x13
	tagSubroutineType      = 0x15
	tagTypedef             = 0x16
	tagUnionType           = 0x17
	tagInheritance         = 0x1c
	tagInlinedSubroutine   = 0x1d
	tagPointerToMember     = 0x1f
	tagSubrangeType        = 0x21
	tagConstType           = 0x26
	tagSubprogram          = 0x2e
	tagVolatileType        = 0x35
	tagRestrictType        = 0x37
	tagRvalueReferenceType = 0x42
	tagAtomicType          = 0x47
	tagSkeletonUnit        = 0x4a

	atSibling            = 0x01
	atName               = 0x03
	atByteSize           = 0x0b
	atBitOffset          = 0x0c
	atBitSize            = 0x0d
	atStmtList           = 0x10
	atLowPC              = 0x11
	atHighPC             = 0x12
	atCompDir            = 0x1b
	atUpperBound         = 0x2f
	atAbstractOrigin     = 0x31
	atCount              = 0x37
	atDataMemberLocation = 0x38
	atDeclaration        = 0x3c
	atSpecification      = 0x47
	atType               = 0x49
	atRanges             = 0x55
	atCallFile           = 0x58
	atCallLine           = 0x59
	atSignature          = 0x69
	atDataBitOffset      = 0x6b
	atLinkageName        = 0x6e
	atStrOffsetsBase     = 0x72
	atAddrBase           = 0x73
	atRnglistsBase       = 0x74
	atDwoName            = 0x76
	atMIPSLinkageName    = 0x2007
	atGNUDwoName         = 0x2130
	atGNUAddrBase        = 0x2133

	formAddr          = 0x01
	formBlock2        = 0x03
	formBlock4        = 0x04
	formData2         = 0x05
	formData4         = 0x06
	formData8         = 0x07
	formString        = 0x08
	formBlock         = 0x09
	formBlock1        = 0x0a
	formData1         = 0x0b
	formFlag          = 0x0c
	formSdata         = 0x0d
	formStrp          = 0x0e
	formUdata         = 0x0f
	formRefAddr       = 0x10
	formRef1          = 0x11
	formRef2          = 0x12
	formRef4          = 0x13
	formRef8          = 0x14
	formRefUdata      = 0x15
	formIndirect      = 0x16
	formSecOffset     = 0x17
	formExprloc       = 0x18
	formFlagPresent   = 0x19
	formStrx          = 0x1a
	formAddrx         = 0x1b
	formRefSup4       = 0x1c
	formStrpSup       = 0x1d
	formData16        = 0x1e
	formLineStrp      = 0x1f
	formRefSig8       = 0x20
	formImplicitConst = 0x21
	formLoclistx      = 0x22
	formRnglistx      = 0x23
	formRefSup8       = 0x24
	formStrx1         = 0x25
	formStrx2         = 0x26
	formStrx3         = 0x27
	formStrx4         = 0x28
	formAddrx1        = 0x29
	formAddrx2        = 0x2a
	formAddrx3        = 0x2b
	formAddrx4        = 0x2c
	formGNUAddrIndex  = 0x1f01
	formGNUStrIndex   = 0x1f02
	formGNURefAlt     = 0x1f20
	formGNUStrpAlt    = 0x1f21
)

// maxAttrs bounds the attributes of an entry; compilers use up to thirty. An
// attribute need not take a byte, so without the bound the work of reading the
// entries would grow with the product of two sections' sizes.
const maxAttrs = 256

var errAbbrev = errors.New("damaged .debug_abbrev")

// layout is what the length of a form depends on.
type layout struct {
	version uint16
	asize   uint8 // bytes of an address
	wide    bool  // 64-bit DWARF
}

type attrSpec struct {
	attr, form uint16
	implicit   int64
}

// abbrev declares what entries of one kind look like.
type abbrev struct {
	tag      uint16
	children bool
	size     int32 // of an entry's attributes in bytes; -1: differs
	attrs    []attrSpec
}

// abbrevTable finds the declaration of a code. Compilers count codes from 1.
type abbrevTable struct {
	dense  []abbrev          // of codes 1 and up
	sparse map[uint64]abbrev // of others
}

func (t *abbrevTable) get(code uint64) *abbrev {
	if code-1 < uint64(len(t.dense)) {
		return &t.dense[code-1]
	}
	if a, ok := t.sparse[code]; ok {
		return &a
	}
	return nil
}

// abbrevKey names a parsed table: sizes of entries depend on the unit's layout.
type abbrevKey struct {
	off uint64
	layout
}

// abbrevs returns the table that key names. Every table is parsed once; since
// tables of a sound file do not overlap, parsing much more than the section
// holds means that the file was made to hurt.
func (d *dwarfData) abbrevs(key abbrevKey) (*abbrevTable, error) {
	if t, ok := d.tables[key]; ok {
		return t, nil
	}
	if key.off >= uint64(len(d.abbrev)) || d.abbrevWork > 4*len(d.abbrev)+1024 {
		return nil, errAbbrev
	}
	c := cursor{data: d.abbrev, pos: int(key.off), big: d.big}
	t := new(abbrevTable)
	var attrs []attrSpec
	for {
		code := c.uleb()
		if code == 0 {
			break
		}
		a := abbrev{tag: clamp(c.uleb()), children: c.u8() != 0}
		attrs = attrs[:0]
		for {
			s := attrSpec{attr: clamp(c.uleb()), form: clamp(c.uleb())}
			if s.attr == 0 && s.form == 0 {
				break
			}
			if s.form == formImplicitConst {
				s.implicit = c.sleb()
			}
			attrs = append(attrs, s)
			if len(attrs) > maxAttrs {
				c.fail()
			}
			if n := formSize(s.form, key.layout); n < 0 || a.size < 0 {
				a.size = -1
			} else {
				a.size += int32(n)
			}
		}
		a.attrs = slices.Clone(attrs)
		if code == uint64(len(t.dense))+1 {
			t.dense = append(t.dense, a)
			continue
		}
		if t.sparse == nil {
			t.sparse = make(map[uint64]abbrev)
		}
		if _, ok := t.sparse[code]; !ok {
			t.sparse[code] = a
		}
	}
	d.abbrevWork += c.pos - int(key.off)
	if c.bad {
		return nil, errAbbrev
	}
	d.tables[key] = t
	return t, nil
}

// clamp makes a number that means something below 0xffff only fit 16 bits.
func clamp(v uint64) uint16 { return uint16(min(v, 0xffff)) }

// formSize returns the bytes that a form takes, -1 if they differ.
func formSize(form uint16, l layout) int {
	offset := 4
	if l.wide {
		offset = 8
	}
	switch form {
	case formFlagPresent, formImplicitConst:
		return 0
	case formData1, formFlag, formRef1, formStrx1, formAddrx1:
		return 1
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2
	case formStrx3, formAddrx3:
		return 3
	case formData4, formRef4, formStrx4, formAddrx4, formRefSup4:
		return 4
	case formData8, formRef8, formRefSig8, formRefSup8:
		return 8
	case formData16:
		return 16
	case formAddr:
		return int(l.asize)
	case formRefAddr:
		if l.version <= 2 {
			return int(l.asize)
		}
		return offset
	case formStrp, formLineStrp, formSecOffset, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return offset
	}
	return -1
}

// skipForm moves behind a value.
func skipForm(c *cursor, form uint16, l layout) {
	for range 4 { // indirections
		if n := formSize(form, l); n >= 0 {
			c.skip(uint64(n))
			return
		}
		switch form {
		case formString:
			c.cstring()
		case formBlock1:
			c.skip(uint64(c.u8()))
		case formBlock2:
			c.skip(uint64(c.u16()))
		case formBlock4:
			c.skip(uint64(c.u32()))
		case formBlock, formExprloc:
			c.skip(c.uleb())
		case formSdata, formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
			c.uleb()
		case formIndirect:
			form = clamp(c.uleb())
			continue
		default: // of unknown length: nothing behind it can be read
			c.fail()
		}
		return
	}
	c.fail()
}
