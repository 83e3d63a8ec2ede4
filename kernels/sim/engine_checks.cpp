// What asynchronous work and its barriers tell the checked build: who touches what, and who waited for whom.
#include "checker.h"
#include "engine.h"

namespace gradlib_sim {

unsigned Engine::fork() { return worker_.checker() ? worker_.checker()->fork(pc_) : 0; }

void Engine::join(unsigned agent) {
    if (agent && worker_.checker()) worker_.checker()->join(agent);
}

void Engine::touches(unsigned agent, const void* address, size_t bytes, bool writes) {
    Checker* checker = worker_.checker();
    Address a = reinterpret_cast<Address>(address);
    if (checker && bytes) checker->access_as(agent, a, (unsigned)bytes, writes ? plain_write : plain_read, 1, pc_);
}

void Engine::releases(const void* object, unsigned phase) {
    if (Checker* checker = worker_.checker()) {
        checker->atomic_done(reinterpret_cast<Address>(object) + phase % 2, false, true, true);
        checker->progress();
    }
}

void Engine::release_as(unsigned agent, unsigned long long* barrier) {
    Address object = reinterpret_cast<Address>(barrier) + (*barrier & 1);  // its phase
    if (Checker* checker = worker_.checker()) checker->release_as(agent, object);
}

void Engine::acquires(const void* object, unsigned phase) {
    ++ordered;
    if (Checker* checker = worker_.checker()) {
        checker->atomic_done(reinterpret_cast<Address>(object) + phase % 2, true, false, true);
    }
}

}  // namespace gradlib_sim
