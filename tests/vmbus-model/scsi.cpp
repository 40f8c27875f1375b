#include <doctest/doctest.h>

#include <set>

#include "tests/vmbus-model/fake_platform.h"
#include "vmbus-model/storvsp/scsi/disk.h"

using namespace hvsim::vmbus::storvsp;
using hvsim::vmbus::test::Bytes;
using hvsim::vmbus::test::hex;
using Kind = ScsiResult::Kind;

namespace {

constexpr std::uint32_t kMaxTransfer = 0x40000;

Bytes part(const Bytes& bytes, std::ptrdiff_t from, std::ptrdiff_t size) {
    return {bytes.begin() + from, bytes.begin() + from + size};
}

struct Disk {
    DiskIdentity identity;
    DiskGeometry geometry{512, 0x10000, false, true, true};
    std::uint64_t buffer = kMaxTransfer;
    Bytes parameters;

    ScsiResult run(const Bytes& cdb) const {
        ScsiCommand command;
        std::copy(cdb.begin(), cdb.end(), command.cdb.begin());
        command.cdb_length = static_cast<std::uint8_t>(cdb.size());
        command.buffer_length = buffer;
        command.parameter_list = parameters;
        return execute(identity, geometry, kMaxTransfer, command);
    }
    spec::Sense sense(const Bytes& cdb) const {
        const ScsiResult result = run(cdb);
        return result.kind == Kind::check ? result.sense : spec::kNoSense;
    }
};

}  // namespace

TEST_CASE("INQUIRY: standard data, cut to the allocation length") {
    Disk disk;
    const auto all = disk.run({0x12, 0, 0, 0, 255, 0});
    CHECK(all.kind == Kind::good);
    CHECK(all.data.size() == 96);
    CHECK(Bytes(all.data.begin(), all.data.begin() + 36) ==
          hex("00 00 05 02 5b 00 00 02 4d73667420202020"
              "5669727475616c204469736b20202020 312e3020"));
    for (const std::uint8_t length : {0, 1, 5, 36})
        CHECK(disk.run({0x12, 0, 0, 0, length, 0}).data.size() == length);
    CHECK(disk.run({0x12, 0, 0, 1, 0, 0}).data.size() == 96);  // 256
    CHECK(disk.sense({0x12, 0, 0x80, 0, 255, 0}) == spec::kInvalidFieldInCdb);
}

TEST_CASE("INQUIRY: vital product data") {
    Disk disk;
    for (std::size_t i = 0; i < 16; ++i)
        disk.identity.id.bytes[i] = static_cast<std::uint8_t>(0xa0 + i);
    const auto page = [&](std::uint8_t code) { return disk.run({0x12, 1, code, 1, 0, 0}).data; };
    CHECK(page(0x00) == hex("00 00 0006 00 80 83 b0 b1 b2"));
    // Every page that is listed is there, and no other.
    const Bytes listed = page(0x00);
    const std::set<std::uint8_t> pages(listed.begin() + 4, listed.end());
    for (unsigned code = 0; code < 256; ++code) {
        const auto result = disk.run({0x12, 1, static_cast<std::uint8_t>(code), 1, 0, 0});
        if (pages.contains(static_cast<std::uint8_t>(code))) {
            CHECK(result.data.at(1) == code);
            CHECK(result.data.size() == 4u + result.data.at(2) * 256u + result.data.at(3));
        } else {
            CHECK(result.kind == Kind::check);
            CHECK(result.sense == spec::kInvalidFieldInCdb);
        }
    }
    CHECK(page(0x80).size() == 4 + 32);
    disk.identity.serial = "S1";
    CHECK(page(0x80) == hex("00 80 0002 5331"));
    CHECK(page(0x83) == hex("00 83 0014 01 03 00 10 60022480 a0a1a2a3a4a5 aaabacadaeaf"));
    const Bytes limits = page(0xb0);
    CHECK(limits.size() == 64);
    CHECK(Bytes(limits.begin() + 8, limits.begin() + 12) == hex("00000200"));  // 512 blocks
    CHECK(Bytes(limits.begin() + 20, limits.begin() + 36) ==
          hex("ffffffff 00000100 00000008 80000000"));
    CHECK(part(page(0xb1), 4, 2) == hex("0001"));
    CHECK(page(0xb2) == hex("00 b2 0004 00 80 02 00"));
    disk.geometry.discard = false;
    CHECK(page(0xb2) == hex("00 b2 0004 00 00 00 00"));
    CHECK(part(page(0xb0), 20, 16) == Bytes(16, 0));
}

TEST_CASE("READ CAPACITY") {
    Disk disk;
    CHECK(disk.run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}).data == hex("0000ffff 00000200"));
    CHECK(disk.sense({0x25, 0, 0, 0, 0, 1, 0, 0, 0, 0}) == spec::kInvalidFieldInCdb);
    CHECK(disk.sense({0x25, 0, 0, 0, 0, 0, 0, 0, 1, 0}) == spec::kInvalidFieldInCdb);
    const Bytes sixteen{0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0};
    CHECK(disk.run(sixteen).data ==
          hex("000000000000ffff 00000200 00 03 80 00" + std::string(32, '0')));
    Bytes other = sixteen;
    other[1] = 0x12;
    CHECK(disk.sense(other) == spec::kInvalidFieldInCdb);
    disk.geometry = {4096, 0x1'0000'0001, false, true, false};
    CHECK(disk.run({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}).data == hex("ffffffff 00001000"));
    CHECK(part(disk.run(sixteen).data, 0, 16) == hex("0000000100000000 00001000 00 00 00 00"));
}

TEST_CASE("MODE SENSE of each page, control and kind") {
    Disk disk;
    const std::string caching = "08 12 04 00" + std::string(32, '0');
    const std::string control = "0a 0a" + std::string(20, '0');
    CHECK(disk.run({0x1a, 0, 0x3f, 0, 255, 0}).data == hex("23 00 10 00" + caching + control));
    CHECK(disk.run({0x1a, 0, 0x08, 0, 255, 0}).data == hex("17 00 10 00" + caching));
    CHECK(disk.run({0x1a, 0, 0x0a, 0, 255, 0}).data == hex("0f 00 10 00" + control));
    CHECK(disk.run({0x5a, 0, 0x08, 0, 0, 0, 0, 1, 0, 0}).data ==
          hex("001a 00 10 00 00 0000" + caching));
    CHECK(disk.run({0x1a, 0, 0x3f, 0xff, 255, 0}).data.size() == 36);
    CHECK(disk.run({0x1a, 0, 0x3f, 0, 4, 0}).data == hex("23 00 10 00"));
    // Nothing is changeable; nothing is saved.
    CHECK(disk.run({0x1a, 0, 0x48, 0, 255, 0}).data ==
          hex("17 00 10 00 08 12" + std::string(36, '0')));
    CHECK(disk.run({0x1a, 0, 0x88, 0, 255, 0}).data == hex("17 00 10 00" + caching));
    CHECK(disk.sense({0x1a, 0, 0xc8, 0, 255, 0}) == spec::kSavingNotSupported);
    CHECK(disk.sense({0x1a, 0, 0x1c, 0, 255, 0}) == spec::kInvalidFieldInCdb);
    CHECK(disk.sense({0x1a, 0, 0x08, 1, 255, 0}) == spec::kInvalidFieldInCdb);
    disk.geometry.write_protected = true;
    disk.geometry.write_cache = false;
    CHECK(disk.run({0x1a, 0, 0x08, 0, 255, 0}).data ==
          hex("17 00 90 00 08 12" + std::string(36, '0')));
}

TEST_CASE("READ and WRITE of every length of CDB") {
    Disk disk;
    struct Row {
        Bytes cdb;
        DiskOperation operation;
        DiskExtent extent;
        bool fua;
    };
    const Row rows[] = {
        {{0x08, 0x00, 0x12, 0x34, 8, 0}, DiskOperation::read, {0x1234, 8}, false},
        {{0x0a, 0xe0, 0x00, 0x01, 0, 0}, DiskOperation::write, {1, 256}, false},
        {{0x28, 0x08, 0, 0, 0x12, 0x34, 0, 0, 9, 0}, DiskOperation::read, {0x1234, 9}, true},
        {{0x2a, 0x10, 0, 0, 0x12, 0x34, 0, 1, 0, 0}, DiskOperation::write, {0x1234, 256}, false},
        {{0xa8, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 7, 0, 0}, DiskOperation::read, {0x1234, 7}, false},
        {{0xaa, 8, 0, 0, 0x12, 0x34, 0, 0, 0, 7, 0, 0}, DiskOperation::write, {0x1234, 7}, true},
        {{0x88, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 1, 0, 0, 0},
         DiskOperation::read,
         {0x1234, 256},
         false},
        {{0x8a, 8, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 1, 0, 0},
         DiskOperation::write,
         {0x1234, 1},
         true}};
    for (const Row& row : rows) {
        CAPTURE(row.cdb[0]);
        const auto result = disk.run(row.cdb);
        REQUIRE(result.kind == Kind::disk);
        CHECK(result.request.operation == row.operation);
        CHECK(result.request.extents == std::vector<DiskExtent>{row.extent});
        CHECK(result.request.force_unit_access == row.fua);
        // A CDB that is cut short, a buffer that is too small, a disk that is too small.
        CHECK(disk.sense(Bytes(row.cdb.begin(), row.cdb.end() - 1)) == spec::kInvalidFieldInCdb);
        Disk small = disk;
        small.buffer = row.extent.blocks * 512 - 1;
        CHECK(small.sense(row.cdb) == spec::kInvalidFieldInCdb);
        small = disk;
        small.geometry.blocks = row.extent.lba + row.extent.blocks;
        CHECK(small.run(row.cdb).kind == Kind::disk);
        small.geometry.blocks--;
        CHECK(small.sense(row.cdb) == spec::kLbaOutOfRange);
        small = disk;
        small.geometry.write_protected = true;
        const bool write = row.operation == DiskOperation::write;
        CHECK(small.sense(row.cdb) == (write ? spec::kWriteProtected : spec::kNoSense));
        if (row.cdb.size() > 6) {
            Bytes with_protection = row.cdb;
            with_protection[1] |= 0x20;
            CHECK(disk.sense(with_protection) == spec::kInvalidFieldInCdb);
        }
    }
}

TEST_CASE("transfers of nothing, of too much, and beyond all numbers") {
    Disk disk;
    CHECK(disk.run({0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0}).kind == Kind::good);
    CHECK(disk.sense({0x28, 0, 0, 1, 0, 1, 0, 0, 0, 0}) == spec::kLbaOutOfRange);
    disk.buffer = 1 << 30;
    CHECK(disk.run({0x28, 0, 0, 0, 0, 0, 0, 2, 0, 0}).kind == Kind::disk);  // 256 KiB
    CHECK(disk.sense({0x28, 0, 0, 0, 0, 0, 0, 2, 1, 0}) == spec::kInvalidFieldInCdb);
    const Bytes huge{0x88, 0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0};
    CHECK(disk.sense(huge) == spec::kLbaOutOfRange);
}

TEST_CASE("VERIFY, SYNCHRONIZE CACHE, START STOP UNIT, TEST UNIT READY, REQUEST SENSE") {
    Disk disk;
    CHECK(disk.run({0x2f, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0}).kind == Kind::good);
    CHECK(disk.sense({0x2f, 0, 0, 0, 0xff, 0xff, 0, 0, 2, 0}) == spec::kLbaOutOfRange);
    CHECK(disk.sense({0x2f, 2, 0, 0, 0, 0, 0, 0, 1, 0}) == spec::kInvalidFieldInCdb);
    CHECK(disk.run({0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}).kind == Kind::good);
    CHECK(disk.run({0xaf, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}).kind == Kind::good);

    const auto flush = disk.run({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    REQUIRE(flush.kind == Kind::disk);
    CHECK(flush.request.operation == DiskOperation::flush);
    CHECK(flush.request.extents.empty());
    CHECK(disk.run({0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}).kind == Kind::disk);
    CHECK(disk.sense({0x35, 0, 0, 1, 0, 0, 0, 0, 1, 0}) == spec::kLbaOutOfRange);
    disk.geometry.write_cache = false;
    CHECK(disk.run({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}).kind == Kind::good);

    CHECK(disk.run({0x00, 0, 0, 0, 0, 0}).kind == Kind::good);
    CHECK(disk.run({0x1b, 0, 0, 0, 1, 0}).kind == Kind::good);
    CHECK(disk.run({0x1b, 0, 0, 0, 0, 0}).kind == Kind::good);
    CHECK(disk.sense({0x1b, 0, 0, 0, 2, 0}) == spec::kInvalidFieldInCdb);
    CHECK(disk.run({0x03, 0, 0, 0, 255, 0}).data ==
          hex("70 00 00 00000000 0a" + std::string(20, '0')));
    CHECK(disk.run({0x03, 0, 0, 0, 8, 0}).data.size() == 8);
    CHECK(disk.sense({0x03, 1, 0, 0, 255, 0}) == spec::kInvalidFieldInCdb);
}

TEST_CASE("UNMAP: parameter lists, good and lying") {
    Disk disk;
    const auto cdb = [](std::size_t length) {
        return Bytes{0x42,
                     0,
                     0,
                     0,
                     0,
                     0,
                     0,
                     static_cast<std::uint8_t>(length >> 8),
                     static_cast<std::uint8_t>(length),
                     0};
    };
    disk.parameters =
        hex("0026 0020 00000000"
            "0000000000000010 00000008 00000000"
            "000000000000fff8 00000008 00000000");
    const auto result = disk.run(cdb(40));
    REQUIRE(result.kind == Kind::disk);
    CHECK(result.request.operation == DiskOperation::discard);
    CHECK(result.request.extents == std::vector<DiskExtent>{{0x10, 8}, {0xfff8, 8}});
    for (std::size_t length = 1; length < 40; ++length) {
        CAPTURE(length);  // every truncation
        CHECK(disk.sense(cdb(length)) == spec::kParameterListLength);
    }
    CHECK(disk.run(cdb(0)).kind == Kind::good);
    CHECK(disk.sense(cdb(41)) == spec::kParameterListLength);  // more than the buffer holds

    disk.parameters = hex("0016 0010 00000000 000000000000fff9 00000008 00000000");
    CHECK(disk.sense(cdb(24)) == spec::kLbaOutOfRange);
    disk.parameters = hex("0016 0010 00000000 ffffffffffffffff ffffffff 00000000");
    CHECK(disk.sense(cdb(24)) == spec::kLbaOutOfRange);
    disk.parameters = hex("0016 0010 00000000 0000000000000010 00000000 00000000");
    CHECK(disk.run(cdb(24)).kind == Kind::good);  // nothing to do
    disk.parameters = hex("0016 000f 00000000 0000000000000010 00000001 00000000");
    CHECK(disk.run(cdb(24)).kind == Kind::good);  // no whole descriptor
    disk.parameters = hex("1016 1010 00000000");
    disk.parameters.resize(8 + 257 * 16);
    CHECK(disk.sense(cdb(8 + 257 * 16)) == spec::kInvalidFieldInParameters);
    disk.parameters = hex("1006 1000 00000000");
    disk.parameters.resize(8 + 256 * 16);
    for (std::size_t i = 0; i < 256; ++i) disk.parameters[8 + i * 16 + 11] = 1;
    CHECK(disk.run(cdb(8 + 256 * 16)).request.extents.size() == 256);

    Bytes anchor = cdb(24);
    anchor[1] = 1;
    CHECK(disk.sense(anchor) == spec::kInvalidFieldInCdb);
    disk.geometry.write_protected = true;
    CHECK(disk.sense(cdb(24)) == spec::kWriteProtected);
    disk.geometry.discard = false;
    CHECK(disk.sense(cdb(24)) == spec::kInvalidOpcode);
}

TEST_CASE("every other operation code is refused, reservations among them") {
    Disk disk;
    const std::set<unsigned> known{0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x1b, 0x25,
                                   0x28, 0x2a, 0x2f, 0x35, 0x42, 0x5a, 0x88, 0x8a,
                                   0x8f, 0x91, 0x9e, 0xa8, 0xaa, 0xaf};
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
        CAPTURE(opcode);
        Bytes cdb(16);
        cdb[0] = static_cast<std::uint8_t>(opcode);
        const auto result = disk.run(cdb);
        const bool refused = result.kind == Kind::check && result.sense == spec::kInvalidOpcode;
        CHECK(refused != known.contains(opcode));
        // A CDB of one byte never reaches a command.
        CHECK(disk.run({static_cast<std::uint8_t>(opcode)}).kind == Kind::check);
    }
    const auto sense = fixed_sense(spec::kInvalidOpcode);
    CHECK(Bytes(sense.begin(), sense.end()) ==
          hex("70 00 05 00000000 0a 00000000 20 00 00 000000"));
}

TEST_CASE("REPORT LUNS") {
    const Bytes luns{0, 3, 255};
    ScsiCommand command;
    command.cdb = {0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0};
    command.cdb_length = 12;
    CHECK(report_luns(command, luns).data ==
          hex("00000018 00000000 0000000000000000 0003000000000000 00ff000000000000"));
    command.cdb[2] = 1;  // well-known units only
    CHECK(report_luns(command, luns).data == Bytes(8, 0));
    command.cdb[2] = 3;
    CHECK(report_luns(command, luns).kind == Kind::check);
    command.cdb[2] = 0;
    command.cdb[8] = 0;
    command.cdb[9] = 15;
    CHECK(report_luns(command, luns).kind == Kind::check);
    command.cdb[9] = 16;
    CHECK(report_luns(command, luns).data.size() == 16);
    command.cdb_length = 11;
    CHECK(report_luns(command, luns).kind == Kind::check);
}
