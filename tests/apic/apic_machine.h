#pragma once
// A few local APICs and an I/O APIC wired together, without a processor.
#include <doctest/doctest.h>

#include <memory>
#include <vector>

#include "apic/interrupt_router.h"
#include "apic/io_apic.h"

namespace hvsim::apic::test {

using namespace hvsim::apic;
using spec::kMsrApicBase;
using spec::kMsrTscDeadline;

inline constexpr std::uint64_t kEnable = 1u << 11;
inline constexpr std::uint64_t kExtend = 1u << 10;

/// Records what was sent and, when it has a router, delivers it.
struct Wires final : InterruptFabric, EoiSink {
    struct Sent {
        InterruptMessage message;
        InterruptSource source;
        sim::Time time;
    };
    std::vector<Sent> sent;
    std::vector<std::uint8_t> eois;
    InterruptRouter* router = nullptr;
    IoApic* io_apic = nullptr;

    void send(const InterruptMessage& message, InterruptSource source, sim::Time now) override {
        sent.push_back({message, source, now});
        if (router != nullptr) router->deliver(message, source, now);
    }
    void broadcast_eoi(std::uint8_t vector, sim::Time now) override {
        eois.push_back(vector);
        if (io_apic != nullptr) io_apic->broadcast_eoi(vector, now);
    }
};

/// One APIC, software-enabled with spurious vector 0xff.
struct OneApic {
    explicit OneApic(LocalApicConfig config = {}) : apic(config, wires, wires) {
        apic.mmio_write(0xf0, 4, 0x1ff, 0);
    }
    std::uint32_t read(std::uint32_t offset, sim::Time now = 0) {
        return static_cast<std::uint32_t>(apic.mmio_read(offset, 4, now));
    }
    void write(std::uint32_t offset, std::uint32_t value, sim::Time now = 0) {
        apic.mmio_write(offset, 4, value, now);
    }
    Acceptance accept(std::uint8_t vector, TriggerMode trigger = TriggerMode::edge,
                      bool auto_eoi = false) {
        InterruptMessage message;
        message.vector = vector;
        message.trigger = trigger;
        return apic.accept(message, 0, auto_eoi);
    }
    void enter_x2apic() {
        REQUIRE(apic.write_msr(kMsrApicBase, apic.base() | kEnable | kExtend, 0));
    }
    Wires wires;
    LocalApic apic;
};

/// Processors with the given x2APIC ids, all software-enabled and in xAPIC mode, and an I/O APIC.
struct ApicMachine {
    explicit ApicMachine(const std::vector<std::uint32_t>& ids)
        : decoder(wires, false), io_apic({.id = 1, .entries = 24, .requester_id = 0xf8}, decoder) {
        std::vector<LocalApic*> pointers;
        for (const std::uint32_t id : ids) {
            LocalApicConfig config;
            config.id = id;
            config.bootstrap_processor = apics.empty();
            apics.push_back(std::make_unique<LocalApic>(config, wires, wires));
            apics.back()->mmio_write(0xf0, 4, 0x1ff, 0);
            pointers.push_back(apics.back().get());
        }
        router = std::make_unique<InterruptRouter>(pointers);
        wires.router = router.get();
        wires.io_apic = &io_apic;
    }
    void enter_x2apic() {
        for (auto& apic : apics)
            REQUIRE(apic->write_msr(kMsrApicBase, apic->base() | kEnable | kExtend, 0));
    }
    /// Bit i: processor i has `vector` requested; the request is taken away.
    std::uint32_t receivers(std::uint8_t vector) {
        std::uint32_t mask = 0;
        for (std::size_t i = 0; i < apics.size(); ++i) {
            LocalApicState state = apics[i]->state();
            if (!state.irr.test(vector)) continue;
            mask |= 1u << i;
            state.irr.clear(vector);
            apics[i]->restore(state);
        }
        return mask;
    }
    void write_redirection(unsigned pin, std::uint64_t entry) {
        io_apic.mmio_write(0, 4, 0x11 + pin * 2, 0);
        io_apic.mmio_write(0x10, 4, entry >> 32, 0);
        io_apic.mmio_write(0, 4, 0x10 + pin * 2, 0);
        io_apic.mmio_write(0x10, 4, entry & 0xffffffff, 0);
    }

    Wires wires;
    MsiDecoder decoder;
    IoApic io_apic;
    std::vector<std::unique_ptr<LocalApic>> apics;
    std::unique_ptr<InterruptRouter> router;
};

}  // namespace hvsim::apic::test
