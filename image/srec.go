package image

import "fmt"

// addressSizes has for each type of S-record the size of its address in bytes;
// 0: no such type.
var addressSizes = [10]int{
	0: 2,             // header
	1: 2, 2: 3, 3: 4, // data
	5: 2, 6: 3, // the address is the number of data records
	7: 4, 8: 3, 9: 2, // end; the address is where execution starts
}

// readSRecords reads Motorola's S-records: per line an S, the type, and in
// hexadecimal the number of bytes that follow, an address of 2 to 4 bytes, the
// data, and the complement of the sum of all bytes.
//
//	S1137AF00A0A0D0000000000000000000000000061
//	 type address                           sum
//	  count   data
//
// Records with wrong checksums are left out; what follows the checksum on its
// line is not looked at. Files that were put one behind the other are read to
// the last.
//
// Format: Motorola, M68000 Family Programmer's Reference Manual, appendix C.
func readSRecords(name string, text []byte, most uint64) (*part, error) {
	r := newRecords(name, text, most)
	var seen uint64 // data records since the last end
	var miscounted string
	for l := (lines{rest: trimMark(text)}); l.next(); {
		if len(l.line) == 0 {
			continue
		}
		var count [1]byte
		n, whole := 0, false
		if isSRecordStart(l.line) {
			_, whole = unhex(count[:], l.line[2:])
			n = int(count[0])
		}
		if !whole || len(l.line) < 4+2*n {
			r.noRecord.at(l.number)
			continue
		}
		data, sum, ok := r.decode(l.line[4:], n)
		if !ok {
			r.noRecord.at(l.number)
			continue
		}
		if count[0]+sum != 0xff {
			r.badSum.at(l.number)
			continue
		}
		if r.ended {
			r.ended = false
			r.after.at(l.number)
		}
		kind := l.line[1] - '0'
		size := addressSizes[kind]
		if size == 0 || n < size+1 {
			r.unknown.at(l.number)
			continue
		}
		var addr uint64
		for _, b := range data[:size] {
			addr = addr<<8 | uint64(b)
		}
		switch kind {
		case 1, 2, 3:
			seen++
			copy(data, data[size:])
			if err := r.take(addr, n-size-1); err != nil {
				return nil, err
			}
		case 5, 6:
			if read := seen % (1 << (8 * size)); read != addr && miscounted == "" {
				miscounted = fmt.Sprintf("by its own count there should be %d data records and not %d", addr, read)
			}
		case 7, 8, 9:
			r.ended, seen = true, 0
		}
	}
	p := r.part()
	if miscounted != "" {
		p.partial = append(p.partial, miscounted)
	}
	return p, nil
}

// isSRecordStart reports whether line begins like a record.
func isSRecordStart(line []byte) bool {
	return len(line) >= 4 && line[0] == 'S' && line[1] >= '0' && line[1] <= '9'
}

// isSRecord reports whether line has the form of a record.
func isSRecord(line []byte) bool {
	if !isSRecordStart(line) {
		return false
	}
	var b [256]byte
	unhex(b[:1], line[2:])
	_, ok := unhex(b[:1+int(b[0])], line[2:])
	return ok && b[0] >= 3
}
