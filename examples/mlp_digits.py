"""Handwritten digits by a network of dense layers, the training loop written out."""

import gradlib as gl

gl.manual_seed(0)
train, test = gl.data.digits()
model = gl.nn.Sequential(
    gl.nn.Flatten(),
    gl.nn.Dense(64, 128, activation="relu"),
    gl.nn.Dense(128, 64, activation="relu"),
    gl.nn.Dense(64, 10),
)
optimizer = gl.optim.Adam(model.parameters(), lr=2e-3)
loss = gl.nn.CrossEntropyLoss()

for _ in range(20):
    for x, y in gl.data.DataLoader(train, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

with gl.no_grad():
    predicted = gl.argmax(model(gl.tensor(test.inputs)), axis=-1).numpy()
print(model)
print(f"test accuracy {100 * (predicted == test.targets).mean():.2f} %")
