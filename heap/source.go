package heap

import (
	"strconv"
	"strings"
)

// Stdin stands for the name of the file in the Source of what was read from
// standard input.
const Stdin = "stdin"

// SplitSource splits the Source of a snapshot or of a finding that was read from
// a file, "console.log:81", into the file's name and the line, from 1. It is not
// ok for sources of another form, such as the name of a live pool.
func SplitSource(source string) (file string, line int, ok bool) {
	i := strings.LastIndexByte(source, ':')
	if i <= 0 {
		return "", 0, false
	}
	line, err := strconv.Atoi(source[i+1:])
	if err != nil || line < 1 {
		return "", 0, false
	}
	return source[:i], line, true
}
