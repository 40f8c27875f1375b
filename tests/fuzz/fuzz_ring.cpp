// Any bytes in the rings of a set-up storage channel, changed between and during the host's work:
// a channel fails at worst; requests are answered once; nothing is left over.
#include <cstdlib>

#include "tests/fuzz/byte_source.h"
#include "tests/vmbus-model/fake_disk.h"

using namespace hvsim::vmbus;
using namespace hvsim::vmbus::test;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

struct World {
    FakePlatform platform{384};
    VmbusServer server{platform.environment, {spec::Version::v5_3, {}, {}, 64, 5}};
    FakeGuest guest{platform, server};
    storvsp::StorVsp storage{0, platform.environment, server, storage_config()};
    FakeDisk disk{platform.memory, 128};
    std::optional<FakeStorageDriver> driver;

    static storvsp::StorVspConfig storage_config() {
        storvsp::StorVspConfig config;
        config.max_outstanding = 16;
        return config;
    }
    World() {
        disk.shape.discard = true;
        storage.add_lun(0, {0, 0, 0}, disk, {});
        require(guest.connect(spec::Version::v5_3) && guest.request_offers());
        driver.emplace(platform, guest, 1, 16, 50);
        require(driver->opened && driver->initialize());
    }
    void packet(hvsim::fuzz::ByteSource& source) {
        // A well-formed request in which some bytes are not what they should be.
        Bytes cdb(16);
        for (std::uint8_t& byte : cdb) byte = source.byte();
        cdb.resize(1 + source.byte() % 16);
        const std::uint32_t length = source.word();
        const std::uint32_t offset = source.word() % 4096;
        auto srb = driver->request(cdb, length);
        Bytes bytes(64);
        bytes[0] = 3;
        std::memcpy(bytes.data() + 12, &srb, sizeof(srb));
        Bytes header = GuestRing::gpa_header(length, offset,
                                             {300, 301, 302, 303, 304, 305, 306, 307, 308, 309, 310,
                                              311, 312, 313, 314, 315, 316, 400});
        Bytes raw =
            GuestRing::packet(spec::PacketType::gpa_direct, source.byte(), true, header, bytes);
        for (unsigned flips = source.byte() % 4; flips > 0; --flips)
            raw[source.word() % raw.size()] = source.byte();
        driver->ring.write_raw(raw);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hvsim::fuzz::ByteSource source({data, size});
    World world;
    GuestRing& ring = world.driver->ring;
    while (!source.empty()) {
        switch (source.byte() % 8) {
            case 0: {  // a control field of either ring
                const std::uint64_t control = source.byte() % 2 == 0 ? ring.in() : ring.out();
                const spec::RingField fields[] = {
                    spec::RingField::write_index, spec::RingField::read_index,
                    spec::RingField::interrupt_mask, spec::RingField::pending_send_size,
                    spec::RingField::feature_bits};
                ring.put(control, fields[source.byte() % 5],
                         source.word() * (source.byte() % 2 == 0 ? 1u : 8u));
                break;
            }
            case 1: {  // bytes in the data
                const std::uint32_t at = source.word() % ring.out_size();
                world.platform.memory.put<std::uint8_t>(ring.out() + 4096 + at, source.byte());
                break;
            }
            case 2:
            case 3:
                world.packet(source);
                break;
            case 4:
                world.guest.signal(1);
                break;
            case 5:
                if (world.server.work_pending()) world.server.run(++world.guest.now);
                break;
            case 6:
                world.disk.hold = source.byte() % 2 == 0;
                if (!world.disk.waiting.empty()) world.disk.complete(++world.guest.now);
                break;
            case 7:
                world.platform.memory.unmap(16 + source.byte() % 16, source.byte() % 8 == 0);
                break;
        }
        require(world.storage.outstanding() <= 16);
    }
    for (std::uint64_t page = 16; page < 32; ++page) world.platform.memory.unmap(page, false);
    world.guest.post(spec::Unload{});
    while (!world.disk.waiting.empty()) world.disk.complete(++world.guest.now);
    for (int i = 0; world.server.work_pending(); ++i) {
        require(i < 1000);
        world.server.run(++world.guest.now);
    }
    require(world.guest.expect<spec::UnloadResponse>().has_value());
    require(world.storage.outstanding() == 0);
    require(world.server.gpadls().size() == 0);
    return 0;
}
