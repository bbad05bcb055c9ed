package agent

// assembled serves a Request with Whole set from an upstream that is asked for a
// stream all the same, so that silence is noticed there too: it passes the
// stream's deltas on to emit, and puts the completion together from them.
func (u *upstream) assembled(emit func([]Delta), stream func(emit func([]Delta)) (Result, error)) (Result, error) {
	whole := Assembler{MaxBytes: maxWholeBytes}
	result, err := stream(func(deltas []Delta) {
		for _, d := range deltas {
			whole.Add(d)
		}
		emit(deltas)
	})
	if err == nil && whole.Truncated() {
		err = u.errorf(KindMalformed, nil, "the answer is larger than %d bytes", maxWholeBytes)
	}
	if err == nil {
		result.Completion = whole.completion(result.Model, result.Usage)
	}
	return result, err
}
