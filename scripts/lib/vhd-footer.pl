# Writes the 512-byte footer of a fixed VHD to standard output; raw image + footer = fixed VHD.
#
#   perl vhd-footer.pl BYTES UUID      BYTES: size of the raw image; UUID: 32 hex digits, dashes ignored
#
# Layout: Microsoft "Virtual Hard Disk Image Format Specification" 1.0, "Hard Disk Footer Format" and
# the appendix "CHS Calculation". All numbers are big-endian. The time stamp is a constant: the same image
# gives the same file on every day.
use strict;
use warnings;
no warnings 'portable';

my ($bytes, $uuid) = @ARGV;
die "usage: vhd-footer.pl BYTES UUID\n" unless defined $uuid;
$uuid =~ s/-//g;
die "vhd-footer.pl: the size must be a multiple of 512\n" if $bytes !~ /^\d+$/ || $bytes % 512;
die "vhd-footer.pl: the UUID must have 32 hex digits\n" unless $uuid =~ /^[0-9a-fA-F]{32}$/;

sub geometry {
    my ($sectors) = @_;
    $sectors = 65535 * 16 * 255 if $sectors > 65535 * 16 * 255;
    my ($per_track, $heads, $tracks);
    if ($sectors >= 65535 * 16 * 63) {
        ($per_track, $heads) = (255, 16);
        $tracks = int($sectors / $per_track);
    } else {
        $per_track = 17;
        $tracks    = int($sectors / $per_track);
        $heads     = int(($tracks + 1023) / 1024);
        $heads     = 4 if $heads < 4;
        if ($tracks >= $heads * 1024 || $heads > 16) {
            ($per_track, $heads) = (31, 16);
            $tracks = int($sectors / $per_track);
        }
        if ($tracks >= $heads * 1024) {
            ($per_track, $heads) = (63, 16);
            $tracks = int($sectors / $per_track);
        }
    }
    return (int($tracks / $heads), $heads, $per_track);
}

my ($cylinders, $heads, $per_track) = geometry($bytes / 512);
my $footer = pack(
    'a8 N N Q> N a4 N a4 Q> Q> n C C N N H32 C x427',
    'conectix',
    0x00000002,            # features: reserved bit, always set
    0x00010000,            # file format version
    0xFFFFFFFFFFFFFFFF,    # data offset: none, the disk is fixed
    757382400,             # seconds since 2000-01-01: 2024-01-01
    'hvsm', 0x00010000, 'Wi2k',
    $bytes, $bytes,
    $cylinders, $heads, $per_track,
    2,                     # disk type: fixed
    0,                     # checksum, below
    $uuid,
    0                      # saved state
);
die "vhd-footer.pl: wrong length\n" unless length $footer == 512;
my $sum = 0;
$sum += $_ for unpack 'C*', $footer;
substr($footer, 64, 4) = pack 'N', ~$sum & 0xFFFFFFFF;
binmode STDOUT;
print $footer;
