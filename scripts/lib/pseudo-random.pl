# Writes MEBIBYTES MiB of fixed pseudo-random bytes to standard output.
#
#   perl pseudo-random.pl MEBIBYTES
#
# One MiB comes from a xorshift64* generator; each further MiB is that one turned by a distance of its
# own and combined with its neighbour's turn. No two 512-byte sectors of the output are the same, so a
# sector that is read from, or written to, the wrong place changes a checksum.
use strict;
use warnings;
no warnings 'portable';
use integer;

my ($mebibytes) = @ARGV;
die "usage: pseudo-random.pl MEBIBYTES\n" unless defined $mebibytes && $mebibytes =~ /^\d+$/;

my $state = 0x1234567887654321;
my $base  = '';
for (1 .. (1 << 17)) {
    $state ^= ($state >> 12) & 0x000fffffffffffff;
    $state ^= $state << 25;
    $state ^= ($state >> 27) & 0x0000001fffffffff;
    $base .= pack('q<', $state * 0x2545F4914F6CDD1D);
}
binmode STDOUT;
for my $index (0 .. $mebibytes - 1) {
    my $turn  = ($index * 40503) % length $base;
    my $other = ($index * 9973 + 77777) % length $base;
    my $left  = substr($base, $turn) . substr($base, 0, $turn);
    my $right = substr($base, $other) . substr($base, 0, $other);
    print $index == 0 ? $base : $left ^ $right;
}
