package image

import (
	"bytes"
	"encoding/binary"
)

// Types of records of Intel HEX.
const (
	hexData            = 0
	hexEnd             = 1
	hexSegment         = 2 // bits 4-19 of addresses
	hexStartSegmented  = 3 // where execution starts
	hexUpper           = 4 // bits 16-31 of addresses
	hexStart           = 5
	hexOverhead        = 5       // bytes of a record besides its data
	hexSegmentSize     = 1 << 16 // behind which segmented addresses start over
	hexLinearAddresses = 1 << 32 // behind which linear ones do
)

// readIntelHex reads Intel HEX: per line a colon and, in hexadecimal, the number
// of data bytes, 16 bits of the address, a type, the data, and what makes the
// sum of all bytes 0.
//
//	:10010000214601360121470136007EFE09D2190140
//	 count     data                          sum
//	   address
//	       type
//
// Records with wrong checksums are left out. If that may have been the upper bits
// of addresses, so are data records up to the next of those. What follows the
// checksum on its line is not looked at. Files that were put one behind the other are read to
// the last.
//
// Format: Intel, Hexadecimal Object File Format Specification, revision A, 1988.
func readIntelHex(name string, text []byte, most uint64) (*part, error) {
	r := newRecords(name, text, most)
	// Offsets are added to base; what would reach end goes on at start.
	base, start, end := uint64(0), uint64(0), uint64(hexLinearAddresses)
	astray := false // base is not known
	for l := (lines{rest: trimMark(text)}); l.next(); {
		if len(l.line) == 0 {
			continue
		}
		var head [4]byte
		headSum, ok := unhex(head[:], l.line[1:])
		n := int(head[0])
		if l.line[0] != ':' || !ok || len(l.line) < 1+2*(hexOverhead+n) {
			r.noRecord.at(l.number)
			astray = astray || hidesBase(l.line)
			continue
		}
		data, sum, ok := r.decode(l.line[1+2*len(head):], n+1)
		if !ok || headSum+sum != 0 {
			if ok {
				r.badSum.at(l.number)
			} else {
				r.noRecord.at(l.number)
			}
			astray = astray || hidesBase(l.line)
			continue
		}
		if r.ended {
			// Of another file, whose addresses have nothing to do with those
			// so far.
			base, start, end = 0, 0, hexLinearAddresses
			r.ended, astray = false, false
			r.after.at(l.number)
		}
		switch kind := head[3]; {
		case kind == hexData && astray:
			r.astray.at(l.number)
		case kind == hexData:
			addr := base + uint64(binary.BigEndian.Uint16(head[1:]))
			fit := int(min(uint64(n), end-addr))
			err := r.take(addr, fit)
			if err == nil {
				err = r.take(start, n-fit)
			}
			if err != nil {
				return nil, err
			}
		case kind == hexEnd && n == 0:
			r.ended = true
		case kind == hexSegment && n == 2:
			base = uint64(binary.BigEndian.Uint16(data)) << 4
			start, end, astray = base, base+hexSegmentSize, false
		case kind == hexUpper && n == 2:
			base = uint64(binary.BigEndian.Uint16(data)) << 16
			start, end, astray = 0, hexLinearAddresses, false
		case (kind == hexStartSegmented || kind == hexStart) && n == 4:
		default:
			r.unknown.at(l.number)
		}
	}
	return r.part(), nil
}

// hidesBase reports whether line, which is damaged, may have set the upper bits
// of addresses.
func hidesBase(line []byte) bool {
	var head [4]byte
	if line[0] == ':' {
		_, ok := unhex(head[:], line[1:])
		return !ok || head[3] != hexData
	}
	return bytes.Contains(line, []byte("02000002")) || bytes.Contains(line, []byte("02000004"))
}

// isIntelHex reports whether line has the form of a record.
func isIntelHex(line []byte) bool {
	if len(line) < 1+2*hexOverhead || line[0] != ':' {
		return false
	}
	var b [hexOverhead + 255]byte
	unhex(b[:1], line[1:])
	_, ok := unhex(b[:hexOverhead+int(b[0])], line[1:])
	return ok
}
