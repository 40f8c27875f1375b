#pragma once
#include <tlm_utils/simple_initiator_socket.h>

#include <cstdint>
#include <optional>
#include <span>
#include <systemc>
#include <tlm>

#include "sim/time.h"

namespace hvsim::devices::tlm_shell {

enum class Space : std::uint8_t { memory, io };

/// Memory that may be reached by pointer: bytes [first, last] of the memory space.
struct DirectMemory {
    std::uint8_t* data;  ///< the byte at `first`
    std::uint64_t first;
    std::uint64_t last;
    sim::Duration read_latency;
    sim::Duration write_latency;
    bool writable;
};

/// Told when a DirectMemory is no longer valid.
class DirectMemoryObserver {
  public:
    virtual ~DirectMemoryObserver() = default;
    virtual void direct_memory_invalidated(std::uint64_t first, std::uint64_t last) = 0;
};

/// A processor's way to the bus. Every access takes the caller's local time offset from SystemC's
/// time (temporal decoupling) in `delay` and adds what the access took; nothing waits.
class BusMaster : public sc_core::sc_module {
  public:
    tlm_utils::simple_initiator_socket<BusMaster> memory{"memory"};
    tlm_utils::simple_initiator_socket<BusMaster> io{"io"};

    explicit BusMaster(const sc_core::sc_module_name& name);

    /// `size` 1 to 8 bytes, little endian. An access that the bus refuses reads as all ones.
    std::uint64_t read(Space space, std::uint64_t address, unsigned size, sim::Duration& delay);
    /// An access that the bus refuses has no effect.
    void write(Space space, std::uint64_t address, unsigned size, std::uint64_t value,
               sim::Duration& delay);
    /// False if the bus refused all or part of it.
    bool read_block(Space space, std::uint64_t address, std::span<std::uint8_t> out,
                    sim::Duration& delay);
    bool write_block(Space space, std::uint64_t address, std::span<const std::uint8_t> in,
                     sim::Duration& delay);

    /// Without side effects or time; the number of bytes that could be reached.
    std::size_t read_debug(std::uint64_t address, std::span<std::uint8_t> out);
    std::size_t write_debug(std::uint64_t address, std::span<const std::uint8_t> in);

    std::optional<DirectMemory> direct_memory(std::uint64_t address);
    void set_observer(DirectMemoryObserver* observer) noexcept { observer_ = observer; }

    std::uint64_t refused() const noexcept { return refused_; }

  private:
    bool transport(Space space, tlm::tlm_command command, std::uint64_t address, std::uint8_t* data,
                   std::size_t size, sim::Duration& delay);
    std::size_t debug(tlm::tlm_command command, std::uint64_t address, std::uint8_t* data,
                      std::size_t size);
    void invalidate(sc_dt::uint64 first, sc_dt::uint64 last);

    DirectMemoryObserver* observer_ = nullptr;
    std::uint64_t refused_ = 0;
};

}  // namespace hvsim::devices::tlm_shell
