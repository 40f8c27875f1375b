// Any sequence of control messages, signals and device events: the server answers or counts, keeps
// its books and comes to rest.
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
    FakePlatform platform{64};
    ServerConfig config{spec::Version::v5_3, {spec::Version::v5_1}, {64, 4096}, 64, 4};
    VmbusServer server{platform.environment, config};
    EchoProvider echo;
    storvsp::StorVsp storage{0, platform.environment, server, storage_config()};
    FakeDisk disk{platform.memory, 128};
    OfferId device = server.offer(0, scsi_offer(2), echo);
    hvsim::sim::Time now = 0;

    World() {
        storage.add_lun(0, {0, 0, 0}, disk, {});
        disk.hold = true;
        echo.hold = true;
    }
    static storvsp::StorVspConfig storage_config() {
        storvsp::StorVspConfig config;
        config.instance.bytes[0] = 1;
        config.max_subchannels = 3;
        return config;
    }
    void release_all() {
        while (!echo.held.empty()) {
            Channel* channel = echo.held.back();
            echo.held.pop_back();
            channel->release();
        }
    }
    void rest() {
        for (int i = 0; server.work_pending(); ++i) {
            require(i < 100'000);
            server.run(++now);
        }
    }
    /// A whole and sensible message, so that the deeper states are reached.
    void sensible(hvsim::fuzz::ByteSource& source) {
        const std::uint32_t relid = 1 + source.byte() % 5;
        const std::uint32_t handle = source.byte() % 4;
        switch (source.byte() % 12) {
            case 0:
                return post(FakeGuest::contact(spec::kVersions[handle * 2 + 1], relid));
            case 1:
                return post(spec::RequestOffers{});
            case 2:
            case 3: {
                const Bytes range =
                    hex("00600000 00000000 1000000000000000 1100000000000000 1200000000000000"
                        "1300000000000000 1400000000000000 1500000000000000");
                return post(spec::GpadlHeader{{}, relid, handle, 56, 1}, range);
            }
            case 4:
            case 5: {
                GuestRing ring(platform.memory, 16, 6, 3);
                // Begin, version, properties, end, sub-channels: some first part of it.
                constexpr std::uint8_t kSequence[] = {7, 9, 10, 8, 13};
                for (unsigned i = 0, count = source.byte() % 6; i < count; ++i)
                    ring.write_raw(GuestRing::packet(spec::PacketType::inband, 7, true, {},
                                                     set_up(kSequence[i])));
                return post(spec::OpenChannel{{}, relid, 9, handle, relid % 4, 3, {}});
            }
            case 6:
                return post(spec::CloseChannel{{}, relid});
            case 7:
                return post(spec::GpadlTeardown{{}, relid, handle});
            case 8:
                return post(spec::RelIdReleased{{}, relid});
            case 9:
                return post(spec::ModifyChannel{{}, relid, handle});
            case 10:
                return post(spec::TlConnectRequest{});
            default:
                return post(spec::Unload{});
        }
    }
    static Bytes set_up(std::uint8_t operation) {
        Bytes packet(64);
        packet[0] = operation;
        packet[12] = 2;
        packet[13] = operation == 9 ? 6 : 0;  // version 6.2, or two sub-channels
        return packet;
    }
    template <typename Message>
    void post(const Message& message, const Bytes& more = {}) {
        Bytes bytes = wire(message);
        bytes.insert(bytes.end(), more.begin(), more.end());
        server.on_message(++now, bytes);
    }
    void message(hvsim::fuzz::ByteSource& source) {
        const auto row = source.byte();
        Bytes bytes(source.byte() % 241);
        for (std::uint8_t& byte : bytes) byte = source.byte();
        // Mostly a known type, whole, and small numbers for channels and buffers.
        if (row < 200) {
            const auto& description = spec::kMessageTable[row % spec::kMessageTable.size()];
            if (bytes.size() < description.size) bytes.resize(description.size);
            const auto type = static_cast<std::uint32_t>(description.type);
            std::memcpy(bytes.data(), &type, 4);
            for (std::size_t at = 8; at + 4 <= bytes.size() && at < 28 && row < 150; at += 4)
                if (description.type != spec::MessageType::kInitiateContact || at == 12)
                    bytes[at + 1] = bytes[at + 2] = bytes[at + 3] = 0;
            if (description.type == spec::MessageType::kInitiateContact && row < 150) {
                const auto version = spec::kVersions[bytes[8] % spec::kVersions.size()];
                std::memcpy(bytes.data() + 8, &version, 4);
            }
        }
        server.on_message(++now, bytes);
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hvsim::fuzz::ByteSource source({data, size});
    World world;
    while (!source.empty()) {
        switch (source.byte() % 16) {
            default:
                world.message(source);
                break;
            case 3:
            case 4:
            case 5:
            case 6:
            case 7:
                world.sensible(source);
                break;
            case 8:
                world.server.on_signal(++world.now, 0x2000u + source.byte() % 8);
                break;
            case 9:
                world.rest();
                break;
            case 10:
                world.platform.port.buffers = source.byte() % 4 == 0 ? 0 : 1000;
                world.server.retry_messages(++world.now);
                break;
            case 11:
                world.release_all();
                break;
            case 12:
                if (world.device != 0) world.server.rescind(++world.now, world.device);
                world.device = 0;
                break;
            case 13:
                if (world.device == 0)
                    world.device = world.server.offer(++world.now, scsi_offer(2), world.echo);
                break;
            case 14:
                if (!world.disk.waiting.empty()) world.disk.complete(++world.now);
                break;
            case 15:
                if (source.byte() % 8 == 0)
                    world.server.reset(++world.now);
                else
                    world.platform.memory.unmap(source.byte() % 64, source.byte() % 4 == 0);
                break;
        }
        require(world.server.queued_messages() <= 64 + 16);
        require(world.server.gpadls().size() <= 64);
    }
    world.server.reset(++world.now);
    for (int i = 0; i < 3; ++i) {
        world.release_all();
        while (!world.disk.waiting.empty()) world.disk.complete(++world.now);
        world.rest();
    }
    require(world.server.state() == ConnectionState::disconnected);
    require(world.server.gpadls().size() == 0 && world.server.gpadls().pages() == 0);
    require(world.platform.ports.events.empty());
    require(world.storage.outstanding() == 0);
    return 0;
}
