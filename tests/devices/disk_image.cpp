#include "devices/disk_image.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

#include "devices/byte_order.h"
#include "devices/vhd_footer.h"

using namespace hvsim;
using namespace hvsim::devices;
namespace fs = std::filesystem;
namespace vhd = devices::spec::vhd;

namespace {

/// A folder of its own that goes when the test ends.
struct Folder {
    Folder() {
        std::string name = (fs::temp_directory_path() / "hvsim-disk-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { fs::remove_all(path); }
    fs::path path;
};

using Bytes = std::vector<std::uint8_t>;

void store(const fs::path& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

Bytes load(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

Bytes pattern(std::size_t size) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 512);
    return bytes;
}

Bytes content(const DiskImage& image) {
    Bytes bytes(image.size());
    image.read(0, bytes);
    return bytes;
}

std::string problem_of(const fs::path& path, ImageFormat format = ImageFormat::fixed_vhd) {
    try {
        DiskImage image({path, format});
    } catch (const sim::ConfigError& error) {
        CHECK(error.where().file == path.string());
        CHECK_FALSE(error.hint().empty());
        return error.what();
    }
    return "no error";
}

void refresh_checksum(Bytes& image) {
    const std::span<std::uint8_t, 512> footer(image.data() + image.size() - 512, 512);
    store_be<std::uint32_t>(footer, vhd::kChecksum, vhd_checksum(footer));
}

}  // namespace

TEST_CASE("copy on write leaves the file alone") {
    Folder folder;
    const fs::path path = folder.path / "disk.img";
    const Bytes original = pattern(5 * 4096 + 512);
    store(path, original);
    DiskImage image({path});
    CHECK(image.size() == original.size());
    CHECK(image.blocks() == 41);
    CHECK(content(image) == original);

    Bytes expected = original;
    const Bytes text{'a', 'b', 'c', 'd', 'e', 'f'};
    image.write(4093, text);  // across a page boundary
    std::copy(text.begin(), text.end(), expected.begin() + 4093);
    image.write(original.size() - 6, text);  // the last, partial page
    std::copy(text.begin(), text.end(), expected.end() - 6);
    CHECK(image.changed_pages() == 3);
    image.zero(2 * 4096 + 100, 2 * 4096 + 12);  // part, whole, part
    std::fill_n(expected.begin() + 2 * 4096 + 100, 2 * 4096 + 12, std::uint8_t{0});
    CHECK(content(image) == expected);
    image.write(3 * 4096 + 5, text);  // into a zeroed page
    std::copy(text.begin(), text.end(), expected.begin() + 3 * 4096 + 5);
    CHECK(content(image) == expected);
    image.flush();
    CHECK(load(path) == original);
}

TEST_CASE("any mix of writes and zeroes reads like plain memory") {
    Folder folder;
    const fs::path path = folder.path / "disk.img";
    const Bytes original = pattern(40 * 4096 + 1024);
    store(path, original);
    DiskImage file_backed({path});
    DiskImage in_memory(original.size(), 512);
    Bytes expected_file = original;
    Bytes expected_memory(original.size());
    std::uint64_t state = 42;
    const auto random = [&state](std::uint64_t below) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return (state >> 33) % below;
    };
    for (int i = 0; i < 3000; ++i) {
        const std::uint64_t offset = random(original.size());
        const std::uint64_t length =
            random(std::min<std::uint64_t>(original.size() - offset, 40000) + 1);
        if (random(3) == 0) {
            file_backed.zero(offset, length);
            in_memory.zero(offset, length);
            std::fill_n(expected_file.begin() + static_cast<std::ptrdiff_t>(offset), length,
                        std::uint8_t{0});
            std::fill_n(expected_memory.begin() + static_cast<std::ptrdiff_t>(offset), length,
                        std::uint8_t{0});
        } else {
            const Bytes data(std::min<std::uint64_t>(length, 700),
                             static_cast<std::uint8_t>(i | 1));
            file_backed.write(offset, data);
            in_memory.write(offset, data);
            std::copy(data.begin(), data.end(),
                      expected_file.begin() + static_cast<std::ptrdiff_t>(offset));
            std::copy(data.begin(), data.end(),
                      expected_memory.begin() + static_cast<std::ptrdiff_t>(offset));
        }
        if (i % 100 == 0) {
            REQUIRE(content(file_backed) == expected_file);
            REQUIRE(content(in_memory) == expected_memory);
        }
    }
    CHECK(load(path) == original);
}

TEST_CASE("equal contents have equal digests") {
    Folder folder;
    store(folder.path / "a", pattern(8192));
    DiskImage image({folder.path / "a"});
    DiskImage memory(8192, 512);
    CHECK(image.digest() != memory.digest());
    memory.write(0, pattern(8192));
    CHECK(image.digest() == memory.digest());
    image.write(17, Bytes{1});
    CHECK(image.digest() != memory.digest());
}

TEST_CASE("a whole big disk is zeroed without memory") {
    DiskImage image(std::uint64_t{1} << 45, 4096);
    image.write((std::uint64_t{1} << 45) - 4, Bytes{1, 2, 3, 4});
    image.zero(0, image.size());
    CHECK(image.changed_pages() == 0);
    Bytes end(4, 9);
    image.read(image.size() - 4, end);
    CHECK(end == Bytes{0, 0, 0, 0});
}

TEST_CASE("in place writes to the file") {
    Folder folder;
    const fs::path path = folder.path / "disk.raw";
    Bytes expected = pattern(3 * 4096);
    store(path, expected);
    {
        DiskImage image({path, ImageFormat::raw, ImageMode::in_place, 4096});
        image.write(4090, Bytes(20, 0xee));
        image.zero(8000, 1000);
        image.flush();
        CHECK(image.changed_pages() == 0);
    }
    std::fill_n(expected.begin() + 4090, 20, std::uint8_t{0xee});
    std::fill_n(expected.begin() + 8000, 1000, std::uint8_t{0});
    CHECK(load(path) == expected);
}

TEST_CASE("in place on a VHD keeps the footer") {
    Folder folder;
    const fs::path path = folder.path / "disk.vhd";
    write_fixed_vhd(path, pattern(8192));
    const Bytes before = load(path);
    {
        DiskImage image({path, ImageFormat::fixed_vhd, ImageMode::in_place});
        image.zero(0, image.size());
    }
    const Bytes after = load(path);
    CHECK(after.size() == before.size());
    CHECK(std::equal(after.end() - 512, after.end(), before.end() - 512));
    CHECK(std::count(after.begin(), after.end() - 512, 0) == 8192);
}

TEST_CASE("a fixed VHD's footer, byte by byte") {
    FixedVhd disk{std::uint64_t{4} << 20, {}};
    for (std::size_t i = 0; i < 16; ++i) disk.unique_id[i] = static_cast<std::uint8_t>(i);
    const VhdFooter footer = make_vhd_footer(disk);
    const Bytes head(footer.begin(), footer.begin() + 84);
    const Bytes golden{'c',  'o',  'n',  'e',  'c',  't',  'i',  'x',   // cookie
                       0,    0,    0,    2,    0,    1,    0,    0,     // features, version
                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,  // data offset
                       0,    0,    0,    0,    'h',  'v',  's',  'm',   // time, creator
                       0,    1,    0,    0,    'W',  'i',  '2',  'k',   // version, host
                       0,    0,    0,    0,    0,    0x40, 0,    0,     // original size
                       0,    0,    0,    0,    0,    0x40, 0,    0,     // current size
                       0,    120,  4,    17,   0,    0,    0,    2,     // geometry, type
                       0xff, 0xff, 0xf0, 0x04, 0,    1,    2,    3,    4, 5, 6, 7,  // checksum, id
                       8,    9,    10,   11,   12,   13,   14,   15};
    CHECK(head == golden);
    CHECK(std::all_of(footer.begin() + 84, footer.end(), [](std::uint8_t b) { return b == 0; }));
    const FixedVhd parsed = parse_vhd_footer(footer, disk.disk_size + 512, {});
    CHECK(parsed.disk_size == disk.disk_size);
    CHECK(parsed.unique_id == disk.unique_id);
}

TEST_CASE("a VHD shows its data only") {
    Folder folder;
    const fs::path path = folder.path / "disk.vhd";
    const Bytes data = pattern(3 * 512 + 100);
    write_fixed_vhd(path, data);
    DiskImage image({path, image_format_of(path)});
    CHECK(image.size() == 4 * 512);
    Bytes expected = data;
    expected.resize(4 * 512);
    CHECK(content(image) == expected);
}

TEST_CASE("a VHD that is cut anywhere is refused") {
    Folder folder;
    const fs::path path = folder.path / "disk.vhd";
    write_fixed_vhd(path, pattern(1024));
    const Bytes whole = load(path);
    CHECK(problem_of(path) == "no error");
    for (std::size_t size = 0; size < whole.size(); ++size) {
        store(path, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
        REQUIRE(problem_of(path).find("not a VHD") != std::string::npos);
    }
}

TEST_CASE("a VHD with any bit of its footer flipped is refused") {
    Folder folder;
    const fs::path path = folder.path / "disk.vhd";
    write_fixed_vhd(path, pattern(512));
    const Bytes whole = load(path);
    for (std::size_t byte = 0; byte < 512; ++byte) {
        Bytes broken = whole;
        broken[512 + byte] ^= static_cast<std::uint8_t>(1u << byte % 8);
        store(path, broken);
        const std::string problem = problem_of(path);
        const bool refused = problem.find("checksum") != std::string::npos ||
                             (byte < 8 && problem.find("not a VHD") != std::string::npos);
        REQUIRE_MESSAGE(refused, problem);
    }
}

TEST_CASE("a VHD whose footer is whole but wrong is refused with its reason") {
    Folder folder;
    const fs::path path = folder.path / "disk.vhd";
    write_fixed_vhd(path, pattern(2048));
    const Bytes whole = load(path);
    const auto with = [&](std::size_t field, std::uint32_t value) {
        Bytes changed = whole;
        store_be<std::uint32_t>(changed, 2048 + field, value);
        refresh_checksum(changed);
        store(path, changed);
        return problem_of(path);
    };
    CHECK(with(vhd::kDiskType, 3).find("type 3 (dynamic)") != std::string::npos);
    CHECK(with(vhd::kDiskType, 4).find("type 4 (differencing)") != std::string::npos);
    CHECK(with(vhd::kDiskType, 9).find("type 9 (unknown)") != std::string::npos);
    CHECK(with(vhd::kVersion, 0x00020000).find("version 2.0") != std::string::npos);
    CHECK(with(vhd::kCurrentSize + 4, 0).find("multiple of 512") != std::string::npos);
    CHECK(with(vhd::kCurrentSize + 4, 2049).find("multiple of 512") != std::string::npos);
    CHECK(with(vhd::kCurrentSize, 0xffffffff).find("the file has 2048") != std::string::npos);
    CHECK(with(vhd::kCurrentSize + 4, 2560).find("says 2560 bytes") != std::string::npos);
    CHECK(with(vhd::kCurrentSize + 4, 1536).find("says 1536 bytes") != std::string::npos);
    CHECK(with(vhd::kTimeStamp, 12345) == "no error");
}

TEST_CASE("files that are no disks are configuration errors") {
    Folder folder;
    const fs::path path = folder.path / "disk.img";
    CHECK(problem_of(path, ImageFormat::raw).find("cannot open") != std::string::npos);
    store(path, {});
    CHECK(problem_of(path, ImageFormat::raw).find("disk of 0 bytes") != std::string::npos);
    store(path, Bytes(513));
    CHECK(problem_of(path, ImageFormat::raw).find("block size 512") != std::string::npos);
    store(path, Bytes(4608));
    CHECK_THROWS_AS(DiskImage({path, ImageFormat::raw, ImageMode::copy_on_write, 4096}),
                    sim::ConfigError);
    CHECK_THROWS_AS(DiskImage({path, ImageFormat::raw, ImageMode::copy_on_write, 1024}),
                    sim::ConfigError);
    CHECK_THROWS_AS(DiskImage(1000, 512), sim::ConfigError);
    CHECK_THROWS_AS(image_format_of("disk.qcow2"), sim::ConfigError);
    CHECK_THROWS_AS(image_format_of("disk.vhdx"), sim::ConfigError);
    CHECK(image_format_of("disk.vhd") == ImageFormat::fixed_vhd);
    CHECK(image_format_of("disk") == ImageFormat::raw);
}

TEST_CASE("a file that shrinks during the run is a host error") {
    Folder folder;
    const fs::path path = folder.path / "disk.img";
    store(path, pattern(8192));
    DiskImage image({path});
    fs::resize_file(path, 4096);
    Bytes out(4096);
    CHECK_THROWS_AS(image.read(4096, out), sim::ConfigError);
}
